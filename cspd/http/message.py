"""What a handler sees of HTTP: a request value in, a response value out (RFC 9110)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cspd.http.channel_bindings import ChannelBindings


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One request, read whole. Treat as immutable (not ``frozen`` only because making one is on the hot path)."""

    method: str
    """Upper case; HEAD reaches a GET handler as HEAD, and the server drops the body of the answer."""
    target: bytes
    """The request-target as received, percent-encoding and query included."""
    path: str
    """The path as received, percent-encoding kept, without the query."""
    query: str
    """What stands behind the first ``?``, undecoded; empty if nothing."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case, in the order received."""
    body: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The variable parts of the route, percent-decoded once (a ``{name:path}`` part is kept undecoded)."""
    peer: str = ""
    """The client's IP address; ``uid:N`` of the user at the other end of a Unix socket."""
    listener: str = ""
    """The name of the listener in conf."""
    is_secure: bool = False
    """True when the connection is TLS."""
    client_certificate: bytes | None = None
    """DER of the TLS client certificate, chain-verified by the listener's trust anchors; None without one."""
    client_chain: tuple[bytes, ...] = ()
    """DER of the certificates that the client sent behind its own."""
    channel_bindings: Callable[[], ChannelBindings] = ChannelBindings
    """Computes what ties a message to this TLS connection; with nothing in it when the connection is not TLS."""
    request_id: str = ""
    """Correlates log lines, audit events and the client's error message."""

    def header(self, name: bytes) -> str | None:
        """The value of a header given by its lower-case name; several are joined by ``, ``; None if absent."""
        found = [value for key, value in self.headers if key == name]
        return b", ".join(found).decode("latin-1") if found else None

    @property
    def host(self) -> str:
        """The Host header, port included; empty if absent (HTTP/1.0)."""
        return self.header(b"host") or ""

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; empty if absent."""
        return (self.header(b"content-type") or "").split(";", 1)[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``Content-Length``, ``Date``, ``Connection`` and ``Server`` are the server's to write."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]
"""``async def handle(request) -> Response``; a refusal it raises was mapped by its protocol, anything else is a 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which requests a handler answers.

    ``path`` is a template of segments: literal text, ``{name}`` (one non-empty segment) or, last, ``{name:path}``
    (the rest, undecoded, possibly empty). A literal segment wins over a variable one. A GET route answers HEAD too.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    max_body_bytes: int | None = None
    """Overrides the listener's body limit when larger (enrollment messages are larger than OCSP requests)."""
    refuse: Callable[[int, str], Response] | None = None
    """Says in the protocol's terms that the server refuses a request to this route (a body too large: 413): status and
    reason in, response out. None: plain text."""
    max_header_bytes: int | None = None
    """Raises the listener's header limit for all its connections when larger (long GET forms)."""
    protocol: str = ""
    """Whose it is, for logs and metrics; the daemon writes the name of the conf section here."""
