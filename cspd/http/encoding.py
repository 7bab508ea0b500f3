"""Responses to bytes (RFC 9112), with as much of them prepared as can be."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

from cspd.http.message import Response

__all__ = ["CONTINUE", "ResponseEncoder", "refusal"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_WITHOUT_BODY = frozenset({204, 304})
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# Python 3.11 has the names of RFC 7231 for these two; RFC 9110 renamed them.
_REASONS |= {413: b"Content Too Large", 414: b"URI Too Long", 422: b"Unprocessable Content"}


def refusal(status: int, reason: str = "", *headers: tuple[bytes, bytes]) -> Response:
    """An answer in plain text: the status, and what was wrong if that helps the client's human."""
    text = b"%d %b\n" % (status, _REASONS.get(status, b""))
    return Response(status, text + (reason.encode("utf-8") + b"\n" if reason else b""), (_TEXT, *headers))


class ResponseEncoder:
    """Writes the heads of responses; call :meth:`set_date` once a second (a Date of RFC 9110, 6.6.1)."""

    def __init__(self, now: datetime) -> None:
        self._openings: dict[int, bytes] = {}
        self.set_date(now)

    def set_date(self, now: datetime) -> None:
        """Let the responses from here on bear this moment."""
        self._common = b"Server: cspd\r\nDate: " + format_datetime(now, usegmt=True).encode("ascii") + b"\r\n"
        self._openings.clear()

    def encode(self, response: Response, *, is_head: bool, connection: bytes) -> bytes:
        """The whole response.

        ``is_head`` leaves the body out. ``connection`` is empty or a whole ``Connection`` header line.
        Raises ValueError for a header that would end its line (a handler must not be tricked into another response).
        """
        status, body = response.status, response.body
        # One status, one opening: the dictionary has few entries, and all of them last a second.
        opening = self._openings.get(status)
        if opening is None:
            opening = b"HTTP/1.1 %d %b\r\n%b" % (status, _REASONS.get(status, b""), self._common)
            self._openings[status] = opening
        lines = b"".join([b"%b: %b\r\n" % header for header in response.headers])
        if lines.count(b"\n") != len(response.headers) or lines.count(b"\r") != len(response.headers):
            raise ValueError("a line break in a response header")
        if status in _WITHOUT_BODY:
            return b"%b%b%b\r\n" % (opening, lines, connection)
        return b"%b%bContent-Length: %d\r\n%b\r\n%b" % (
            opening,
            lines,
            len(body),
            connection,
            b"" if is_head else body,
        )
