"""What is sent to somebody else's HTTP server, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class RequestFailed(Exception):
    """There is no answer; the text says why, for operators, and holds nothing of the request but its host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """A request; ``Host``, ``Content-Length`` and ``Connection`` are the client's to write."""

    method: str
    url: str
    """``https://`` or ``http://``, percent-encoded as it is to be sent."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values in ASCII."""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """An answer, whatever its status; redirects are not followed."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names in lower case, in the order received."""
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header given by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Outbound(Protocol):
    """Sends requests to other people's servers."""

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """The answer; raises :class:`RequestFailed`, and ValueError for a request that cannot be sent anywhere."""
        ...


class NoOutbound:
    """Implements :class:`Outbound` where there is no way out."""

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Raises RequestFailed."""
        raise RequestFailed("no requests are sent to other servers here")
