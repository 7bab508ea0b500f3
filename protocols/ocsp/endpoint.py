"""OCSP over HTTP: POST and GET (RFC 6960, appendix A), and what HTTP caches may do (RFC 5019, 6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from urllib.parse import unquote_to_bytes
from wsgiref.handlers import format_date_time

from twisted.logger import Logger

from cspd.authority.values import CAReference
from cspd.clock import Clock
from cspd.http.message import Request, Response, Route
from cspd.refusals import Malformed, Refused
from protocols.ocsp.codec import ERROR_RESPONSES
from protocols.ocsp.config import OCSPConfig
from protocols.ocsp.errors import HTTP_STATUS, response_status
from protocols.ocsp.messages import OCSPResponseStatus
from protocols.ocsp.service import OCSPService

REQUEST_TYPE = "application/ocsp-request"
_RESPONSE_TYPE = (b"content-type", b"application/ocsp-response")
# Nobody but the client who asked may use the answer: it has a nonce, is an error, or was asked for by POST.
_NOT_STORED = (_RESPONSE_TYPE, (b"cache-control", b"no-store"))
_CACHE_CONTROL = b"max-age=%d, public, no-transform, must-revalidate"
_SECOND = timedelta(seconds=1)
_WRONG_TYPE = Response(415, b"POST an application/ocsp-request.\n", ((b"content-type", b"text/plain"),))


class OCSPEndpoint:
    """The routes below ``/ocsp``."""

    _log = Logger()

    def __init__(self, *, service: OCSPService, clock: Clock, config: OCSPConfig) -> None:
        self._service = service
        self._clock = clock
        self._config = config
        # Encoded once, so that saying no cannot fail.
        self._errors: dict[OCSPResponseStatus, Response] = {
            status: Response(HTTP_STATUS[status] if config.http_error else 200, response_der, _NOT_STORED)
            for status, response_der in ERROR_RESPONSES.items()
        }

    def routes(self) -> Sequence[Route]:
        """``/ocsp/<organization>/<ca>``, for GET with the request behind it."""
        return (
            Route(
                methods=("POST",),
                path="/ocsp/{organization}/{ca}",
                handler=self.post,
                max_body_bytes=self._config.max_request_bytes,
                max_header_bytes=0,  # the listener's own will do: its default is made for status requests
            ),
            Route(methods=("GET",), path="/ocsp/{organization}/{ca}/{request:path}", handler=self.get),
        )

    async def post(self, request: Request) -> Response:
        """Answer the OCSPRequest in the body."""
        if request.content_type != REQUEST_TYPE:
            return _WRONG_TYPE
        try:
            answer = await self._service.answer(_ca_of(request), request.body)
        except Exception as error:  # the edge of a request: whatever it is, OCSP has an answer for it
            return self._error(request, error)
        return Response(200, answer.response_der, _NOT_STORED)

    async def get(self, request: Request) -> Response:
        """Answer the OCSPRequest in the path."""
        try:
            request_der = decode_path(request.parameters["request"], self._config.max_request_bytes)
            answer = await self._service.answer(_ca_of(request), request_der)
        except Exception as error:  # the edge of a request: whatever it is, OCSP has an answer for it
            return self._error(request, error)
        if not answer.is_cacheable:
            return Response(200, answer.response_der, _NOT_STORED)
        age = min(self._config.http_max_age, answer.next_update - self._clock.now())
        fixed, entity_tag = _fixed_fields(answer.response_der, answer.produced_at, answer.next_update)
        headers = (*fixed, (b"cache-control", _CACHE_CONTROL % max(0, age // _SECOND)))
        if _matches(request.header(b"if-none-match"), entity_tag):
            return Response(304, b"", headers)
        return Response(200, answer.response_der, headers)

    def _error(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, Refused):
            self._log.failure("OCSP request {request_id} failed", request_id=request.request_id)
            return self._errors[OCSPResponseStatus.INTERNAL_ERROR]
        status = response_status(error)
        self._log.debug(
            "OCSP request {request_id} to {path}: {status}, {reason} {detail}",
            request_id=request.request_id,
            path=request.path,
            status=status.name,
            reason=error.reason,
            detail=error.detail,
        )
        return self._errors[status]


def _ca_of(request: Request) -> CAReference:
    return CAReference(request.parameters["organization"], request.parameters["ca"])


def decode_path(text: str, max_octets: int) -> bytes:
    """The request in the path of a GET (RFC 6960, A.1): percent-encoding of base64 of DER.

    Takes it as clients and proxies write it: not percent-encoded at all, ``+`` turned into a space by a proxy that
    takes the path for a form, and slashes doubled where URL and request were joined (an OCSPRequest begins with ``M``
    in base64, never with a slash). Raises :class:`Malformed` for anything else.
    """
    if len(text) > 4 * max_octets + 64:  # three characters for each percent-encoded one, and 4 of base64 for 3 octets
        raise Malformed("the request is too long")
    try:
        # What a client encodes, if it does, is these three; a full walk through the text takes ten times as long.
        text = text.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=").lstrip("/").replace(" ", "+")
        encoded = unquote_to_bytes(text).lstrip(b"/").replace(b" ", b"+") if "%" in text else text
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("the path is not base64") from error


def _matches(if_none_match: str | None, entity_tag: str) -> bool:
    """Whether a field of entity tags has ours (RFC 9110, 13.1.2; weak comparison)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return entity_tag in tags or "*" in tags


@lru_cache(maxsize=4096)  # of the answers asked for most; the rest is made again
def _fixed_fields(
    response_der: bytes, produced_at: datetime, next_update: datetime
) -> tuple[tuple[tuple[bytes, bytes], ...], str]:
    """The header fields of RFC 5019, 6.2 that an answer always has, and its entity tag."""
    entity_tag = f'"{sha256(response_der).hexdigest()}"'
    fields = (
        _RESPONSE_TYPE,
        (b"etag", entity_tag.encode("ascii")),
        (b"last-modified", _http_date(produced_at)),
        (b"expires", _http_date(next_update)),
    )
    return fields, entity_tag


def _http_date(moment: datetime) -> bytes:
    return format_date_time(moment.timestamp()).encode("ascii")
