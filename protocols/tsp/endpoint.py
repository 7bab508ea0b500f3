"""Timestamps over HTTP (RFC 3161, 3.4): ``POST /tsa/ISSUER``."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.http.message import Request, Response, Route
from cspd.refusals import NotFound
from protocols.tsp.config import TSPConfig
from protocols.tsp.service import TimeStampService

REQUEST_TYPE = "application/timestamp-query"
_TEXT = ((b"content-type", b"text/plain"),)
# A token is for the one who asked, and a rejection for the moment.
_REPLY = ((b"content-type", b"application/timestamp-reply"), (b"cache-control", b"no-store"))
_WRONG_TYPE = Response(415, b"POST an application/timestamp-query.\n", _TEXT)
_TOO_LARGE = Response(413, b"The request is too large.\n", _TEXT)
_NO_ISSUER = Response(404, b"There is no such issuer of timestamps.\n", _TEXT)


class TimeStampEndpoint:
    """The routes below ``/tsa``."""

    def __init__(self, *, service: TimeStampService, config: TSPConfig) -> None:
        self._service = service
        self._max_request_bytes = config.max_request_bytes

    def routes(self) -> Sequence[Route]:
        """``/tsa/<issuer>`` (R-TSA-001)."""
        return (
            Route(
                methods=("POST",),
                path="/tsa/{issuer}",
                handler=self.post,
                max_body_bytes=self._max_request_bytes,
                max_header_bytes=0,  # the listener's own will do: its default is made for such requests
            ),
        )

    async def post(self, request: Request) -> Response:
        """Answer the TimeStampReq in the body: 200 whenever there is a TimeStampResp, rejections among them."""
        if request.content_type != REQUEST_TYPE:
            return _WRONG_TYPE
        if len(request.body) > self._max_request_bytes:  # the listener may take larger ones, for other protocols
            return _TOO_LARGE
        try:
            response_der = await self._service.answer(request.parameters["issuer"], request.body)
        except NotFound:
            return _NO_ISSUER
        return Response(200, response_der, _REPLY)
