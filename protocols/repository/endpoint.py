"""HTTP of the repository (RFC 9110): GET and HEAD, conditional requests, caching."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from cspd.http.message import Request, Response, Route
from cspd.refusals import Refused
from protocols.repository.errors import response_to
from protocols.repository.service import Document, RepositoryService


class RepositoryEndpoint:
    """The routes below ``/crl``."""

    def __init__(self, service: RepositoryService) -> None:
        self._service = service

    def routes(self) -> Sequence[Route]:
        """GET, and with it HEAD."""
        return (Route(methods=("GET",), path="/crl/{organization}/{ca}/{name}", handler=self.get),)

    async def get(self, request: Request) -> Response:
        """The document, 304 when the client has it already, 404 when there is none."""
        parameters = request.parameters
        try:
            document = await self._service.find(parameters["organization"], parameters["ca"], parameters["name"])
        except Refused as refusal:
            return response_to(refusal)
        headers = _headers(document)
        if _is_known(request, document):
            return Response(304, b"", headers)
        return Response(200, document.body, (*headers, (b"content-type", document.media_type)))


def _headers(document: Document) -> tuple[tuple[bytes, bytes], ...]:
    seconds = int(document.max_age.total_seconds())
    caching = f"public, max-age={seconds}, no-transform" if seconds else "no-cache"
    return (
        (b"cache-control", caching.encode("ascii")),
        (b"etag", f'"{document.entity_tag}"'.encode("ascii")),
        (b"last-modified", format_datetime(document.last_modified.astimezone(UTC), usegmt=True).encode("ascii")),
    )


def _is_known(request: Request, document: Document) -> bool:
    """Whether the client's copy is the current one (RFC 9110, 13.2.2): If-None-Match first, else If-Modified-Since."""
    tags = request.header(b"if-none-match")
    if tags is not None:
        return tags.strip() == "*" or f'"{document.entity_tag}"' in (
            tag.strip().removeprefix("W/") for tag in tags.split(",")
        )
    since = request.header(b"if-modified-since")
    moment = _http_date(since) if since is not None else None
    return moment is not None and document.last_modified.replace(microsecond=0) <= moment


def _http_date(text: str) -> datetime | None:
    """The moment; None for anything that is no date, which RFC 9110 13.1.3 has us ignore."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
