"""Sends requests: one connection each, directly or through the proxy.

https, no proxy  TCP to the host, TLS, request
https, proxy     TCP to the proxy, CONNECT, TLS with the host, request
http, no proxy   TCP to the host, request
http, proxy      TCP to the proxy, request with the whole URL (RFC 9112, 3.2.2)

A host that is reached through the proxy is resolved by the proxy: its name is not asked of a DNS server here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectingTimedOut
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOFactory

from cspd.config.values import SecretReference
from cspd.http.outbound.config import OutboundConfig
from cspd.http.outbound.exchange import Exchange, ExchangeFactory
from cspd.http.outbound.proxies import Exceptions, Proxy
from cspd.http.outbound.tunnel import Tunnel, TunnelFactory
from cspd.http.outbound.values import OutboundRequest, OutboundResponse, RequestFailed

MAX_BODY_OCTETS = 4 << 20
_PORTS = {"http": 80, "https": 443}
_ENDPOINTS: dict[int | None, Any] = {4: TCP4ClientEndpoint, 6: TCP6ClientEndpoint, None: HostnameEndpoint}


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL, taken apart."""

    is_secure: bool
    host: str
    port: int
    authority: str
    """What goes into Host: the port is left out where it is the scheme's."""
    path: str

    @property
    def with_port(self) -> str:
        """What goes into CONNECT."""
        return f"{_bracketed(self.host)}:{self.port}"

    @classmethod
    def of(cls, url: str) -> _Target:
        """Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError("a URL to send to begins with http:// or https:// and a host")
        if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
            raise ValueError("a URL to send to is percent-encoded")
        port = parts.port or _PORTS[parts.scheme]
        shown = "" if port == _PORTS[parts.scheme] else f":{port}"
        path = parts.path or "/"
        return cls(
            parts.scheme == "https",
            parts.hostname,
            port,
            _bracketed(parts.hostname) + shown,
            f"{path}?{parts.query}" if parts.query else path,
        )


class HTTPClient:
    """Implements :class:`cspd.http.outbound.values.Outbound`."""

    def __init__(
        self,
        *,
        reactor: Any,
        trust_root: Any = None,
        proxy: Proxy | None = None,
        no_proxy: Sequence[str] = (),
        connect_timeout: timedelta = timedelta(seconds=10),
        timeout: timedelta = timedelta(seconds=30),
        max_body_octets: int = MAX_BODY_OCTETS,
    ) -> None:
        """``trust_root`` is an IOpenSSLTrustRoot; None for the operating system's."""
        self._reactor = reactor
        self._trust_root = platformTrust() if trust_root is None else trust_root  # type: ignore[no-untyped-call]  # twisted
        self._proxy = proxy
        self._exceptions = Exceptions(no_proxy)
        self._connect_timeout = connect_timeout.total_seconds()
        self._timeout = timeout.total_seconds()
        self._max_body_octets = max_body_octets

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See :class:`cspd.http.outbound.values.Outbound`."""
        target = _Target.of(request.url)
        proxy = None if self._proxy is None or target.host in self._exceptions else self._proxy
        is_late = False

        def give_up() -> None:
            nonlocal is_late
            is_late = True
            answer.cancel()

        answer = Deferred.fromCoroutine(self._exchange(request, target, proxy))
        timer = self._reactor.callLater(self._timeout, give_up)
        try:
            return await answer
        except CancelledError:
            if is_late:
                raise RequestFailed(f"{target.host}: no answer within {self._timeout:g} s") from None
            raise
        finally:
            if timer.active():
                timer.cancel()

    async def _exchange(self, request: OutboundRequest, target: _Target, proxy: Proxy | None) -> OutboundResponse:
        octets = _encode(request, target, proxy)
        factory: Any = ExchangeFactory(octets, host=target.host, max_body_octets=self._max_body_octets)
        if target.is_secure:
            options: Any = optionsForClientTLS(target.host, trustRoot=self._trust_root)
            # Not wrapClientTLS: that takes the global reactor for its timers.
            factory = TLSMemoryBIOFactory(options, True, factory, clock=self._reactor)
            if proxy is not None:
                factory = TunnelFactory(proxy, target.with_port, factory)
        connected = await self._connect(factory, proxy or target)
        try:
            return await _exchange_in(connected).answer
        finally:
            connected.transport.abortConnection()

    async def _connect(self, factory: Any, to: Proxy | _Target) -> Any:
        """The protocol of a new connection to that host and port: an exchange, or TLS or a tunnel with one inside."""
        endpoint: Any = _ENDPOINTS[_version(to.host)](self._reactor, to.host, to.port, timeout=self._connect_timeout)
        try:
            return await endpoint.connect(factory)
        except ConnectingCancelledError as error:  # an endpoint has a name of its own for it, which nobody expects
            raise CancelledError from error
        except DNSLookupError as error:
            raise RequestFailed(f"{to.host}: the name is not found") from error
        except (ConnectError, ConnectingTimedOut, OSError) as error:
            raise RequestFailed(f"{to.host}:{to.port}: no connection") from error


def build_client(
    config: OutboundConfig, *, reactor: Any, secret: Callable[[SecretReference], bytes], folder: Path
) -> HTTPClient:
    """The client of ``[outbound]``; raises ValueError for a secret or a file that cannot be had."""
    proxy = None
    if config.proxy is not None:
        password = None if config.proxy_password is None else secret(config.proxy_password)
        proxy = Proxy.of(config.proxy, config.proxy_user, password)
    return HTTPClient(
        reactor=reactor,
        trust_root=None if config.ca_file is None else read_trust(folder / config.ca_file),
        proxy=proxy,
        no_proxy=config.no_proxy,
        connect_timeout=config.connect_timeout,
        timeout=config.timeout,
    )


def read_trust(file: Path) -> Any:
    """An IOpenSSLTrustRoot of the certificates in a PEM file; raises ValueError."""
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
        anchors = [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]
        return trustRootFromCertificates(anchors)  # type: ignore[no-untyped-call]  # twisted has no types here
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{file} has no certificates in PEM") from None


def _exchange_in(connected: Any) -> Exchange:
    """What is innermost."""
    if isinstance(connected, Tunnel):
        return connected.exchange
    return cast(Exchange, getattr(connected, "wrappedProtocol", connected))


def _encode(request: OutboundRequest, target: _Target, proxy: Proxy | None) -> bytes:
    is_plain = proxy is not None and not target.is_secure
    shown = f"http://{target.authority}{target.path}" if is_plain else target.path
    headers = [("Host", target.authority), *request.headers, ("Connection", "close")]
    if request.body or request.method not in ("GET", "HEAD"):
        headers.append(("Content-Length", str(len(request.body))))
    if is_plain and proxy is not None and proxy.authorization is not None:
        headers.append(("Proxy-Authorization", proxy.authorization))
    lines = [f"{request.method} {shown} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if any(control in line for line in lines for control in "\r\n\0"):
        raise ValueError("a header to send has no control characters")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


def _bracketed(host: str) -> str:
    return f"[{host}]" if _version(host) == 6 else host


def _version(host: str) -> int | None:
    """That of an IP address; None for a name."""
    try:
        return ip_address(host).version
    except ValueError:
        return None
