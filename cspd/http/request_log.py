"""A log line for each answered request, or for those that failed."""

from __future__ import annotations

from twisted.logger import Logger

from cspd.http.message import Request, Response, Route

FIRST_FAILURE = 400


class RequestLog:
    """What :class:`cspd.http.server.HTTPFactory` calls after an answer (its ``AccessLog``)."""

    _log = Logger()

    def __init__(self, listener: str, *, only_failures: bool) -> None:
        """``only_failures`` leaves out answers with a status below 400."""
        self._listener = listener
        self.first_status = FIRST_FAILURE if only_failures else 0
        """The least status that it logs."""

    def __call__(self, request: Request | None, response: Response, seconds: float, route: Route | None = None) -> None:
        """Log one answer; ``request`` is None for bytes that were no request. A query may hold secrets: left out."""
        if response.status < self.first_status:
            return
        self._log.info(
            "{peer} {method} {path} answered {status} in {milliseconds} ms",
            event="request-answered",
            listener=self._listener,
            peer="" if request is None else request.peer,
            method="-" if request is None else request.method,
            path="-" if request is None else request.path,
            status=response.status,
            milliseconds=round(seconds * 1000, 1),
            request_id=None if request is None else request.request_id,
        )
