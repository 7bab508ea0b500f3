"""CMP over HTTP: paths, methods, media types, status codes (RFC 9811, 3; RFC 9483, 6.1; R-CEG-152)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.logger import Logger

from cspd.http.message import Handler, Request, Response, Route
from cspd.refusals import Forbidden, Malformed, NotFound, Refused, Unavailable
from protocols.cmp.interfaces import Terms
from protocols.cmp.path_operations import OPERATIONS
from protocols.cmp.service import Address, CMPService

MEDIA_TYPE = "application/pkixcmp"
WELL_KNOWN = "/.well-known/cmp"
PARTS = "/cmp/{tenant}/{ca}/{profile}"
WITH_RULES = "/cmpv2/{tenant}/{ca}/{profile}/{rules}"
"""What clients of Entrust's gateway know: its ``spec-id`` is the id of a ``[[protocols.cmp.rules]]``."""
_PREFIXES = (PARTS, WITH_RULES, WELL_KNOWN, WELL_KNOWN + "/p/{label}")
_STATUS: dict[type[Refused], int] = {NotFound: 404, Malformed: 400, Forbidden: 403, Unavailable: 503}


class Paths(Protocol):
    """Which terms a path means: :class:`protocols.cmp.labels.Labels`."""

    def default(self) -> Terms:
        """Those without a label; raises NotFound."""
        ...

    def by_label(self, label: str) -> Terms:
        """Those of a label; raises NotFound."""
        ...

    def by_parts(self, tenant: str, ca: str, profile: str, rules: str = "default") -> Terms:
        """Those of tenant, CA and profile, by these rules; raises NotFound, Malformed."""
        ...


class CMPEndpoint:
    """The routes."""

    _log = Logger()

    def __init__(self, *, service: CMPService, paths: Paths, max_message_octets: int) -> None:
        self._service = service
        self._paths = paths
        self._max_message_octets = max_message_octets

    def routes(self) -> Sequence[Route]:
        """Every form of path, with and without an operation at its end."""
        return tuple(
            Route(
                methods=("POST",),
                path=f"{prefix}/{operation}" if operation else prefix,
                handler=self._handler(operation),
                max_body_bytes=self._max_message_octets,
                refuse=_text,
            )
            for prefix in _PREFIXES
            for operation in ("", *OPERATIONS)
        )

    def _handler(self, operation: str) -> Handler:
        async def handle(request: Request) -> Response:
            if request.content_type != MEDIA_TYPE:
                return _text(415, f"POST an {MEDIA_TYPE}.")
            try:
                address = Address(
                    terms=self._terms(request),
                    operation=operation,
                    peer=request.peer,
                    request_id=request.request_id,
                )
                answer_der = await self._service.answer(request.body, address)
            except Refused as refusal:  # there is nothing that could be answered, or nobody who could sign it
                return self._refused(request, refusal)
            return Response(
                200, answer_der, ((b"content-type", MEDIA_TYPE.encode("ascii")), (b"cache-control", b"no-store"))
            )

        return handle

    def _terms(self, request: Request) -> Terms:
        parameters = request.parameters
        if "tenant" in parameters:
            return self._paths.by_parts(**parameters)
        if "label" in parameters:
            return self._paths.by_label(parameters["label"])
        return self._paths.default()

    def _refused(self, request: Request, refusal: Refused) -> Response:
        self._log.warn(
            "CMP request {request_id} from {address} to {path} was refused: {reason}",
            event="cmp-refused",
            request_id=request.request_id,
            address=request.peer,
            path=request.path,
            code=refusal.refusal_code,
            reason=refusal.reason,
            detail=refusal.detail,
        )
        status = next((_STATUS[kind] for kind in type(refusal).__mro__ if kind in _STATUS), 400)
        if isinstance(refusal, Unavailable):
            return _text(status, refusal.reason, (b"retry-after", b"%d" % max(1, refusal.retry_after.seconds)))
        return _text(status, refusal.reason)


def _text(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Response:
    always = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))
    return Response(status, f"{sentence}\n".encode(), (*always, *headers))
