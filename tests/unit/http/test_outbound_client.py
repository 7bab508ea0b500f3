"""The client of other people's servers: whom it connects to, TLS that is verified, the proxy, its limits of time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from pydantic import ValidationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectingTimedOut
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test import iosim
from zope.interface import implementer

from cspd.config.values import SecretReference
from cspd.http.outbound.client import HTTPClient, build_client, read_trust
from cspd.http.outbound.config import OutboundConfig
from cspd.http.outbound.proxies import Exceptions, Proxy
from cspd.http.outbound.values import OutboundRequest, OutboundResponse, RequestFailed
from tests.unit.http.certificates import SERVER_AUTH, Party, make

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(Protocol):
    """Answers once it has been asked what it waits for."""

    def __init__(self, *answers: tuple[bytes, bytes]) -> None:
        self.answers = list(answers)
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        assert self.transport is not None
        while self.answers and self.answers[0][0] in self.received:
            self.transport.write(self.answers.pop(0)[1])


@pytest.fixture(scope="module")
def root() -> Party:
    return make("Root", is_ca=True)


@pytest.fixture
def trust(root: Party, tmp_path: Path) -> Any:
    (tmp_path / "root.pem").write_bytes(root.pem)
    return read_trust(tmp_path / "root.pem")


class World:
    """A client, and what it connects to: in memory."""

    def __init__(self, **arguments: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.client = HTTPClient(reactor=self.reactor, **arguments)
        self.results: list[Any] = []

    def send(self, request: OutboundRequest) -> Deferred[Any]:
        work = Deferred.fromCoroutine(self.client.send(request))
        work.addBoth(self.results.append)
        return work

    def connect(self, server: Any) -> None:
        """Let the last connection be made, with that server."""
        _, _, factory, _, _ = self.reactor.tcpClients[-1]
        protocol = factory.buildProtocol(None)
        pump = iosim.connect(server, iosim.makeFakeServer(server), protocol, iosim.makeFakeClient(protocol))
        for _ in range(30):
            pump.pump()
            self.reactor.advance(0)  # TLS writes what a turn gathered

    @property
    def result(self) -> Any:
        assert self.results, "still waiting"
        found = self.results[0]
        return f"{found.type.__name__}: {found.value}" if isinstance(found, Failure) else found


def tls_server(world: World, party: Party, inside: Server) -> Any:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(party.certificate)
    context.use_privatekey(party.key)

    @implementer(IOpenSSLServerConnectionCreator)
    class Creator:
        def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
            return SSL.Connection(context, None)

    factory = Factory.forProtocol(lambda: inside)
    creator: Any = Creator()
    return TLSMemoryBIOFactory(creator, False, factory, clock=world.reactor).buildProtocol(None)


GET = OutboundRequest(method="GET", url="https://192.0.2.1/a?b=c", headers=(("Accept", "text/plain"),))


def test_a_request_goes_out_over_tls_to_who_proves_to_be_the_host(root: Party, trust: Any) -> None:
    server = Server((b"\r\n\r\n", OK))
    world = World(trust_root=trust)
    world.send(GET)
    assert world.reactor.tcpClients[0][:2] == ("192.0.2.1", 443)
    world.connect(tls_server(world, make("host", root, names=["192.0.2.1"], usage=SERVER_AUTH), server))
    assert server.received == (
        b"GET /a?b=c HTTP/1.1\r\nHost: 192.0.2.1\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
    )
    assert world.result == OutboundResponse(status=200, headers=(("content-length", "2"),), body=b"ok")


@pytest.mark.parametrize(
    ("names", "is_ours", "expected"),
    [
        (["192.0.2.2"], True, "RequestFailed: 192.0.2.1: TLS: the certificate is for somebody else"),
        (["192.0.2.1"], False, "RequestFailed: 192.0.2.1: TLS: certificate verify failed"),
    ],
)
def test_nothing_is_sent_to_a_server_that_is_somebody_else(
    root: Party, trust: Any, names: list[str], is_ours: bool, expected: str
) -> None:
    issuer = root if is_ours else make("Another", is_ca=True)
    server = Server((b"\r\n\r\n", OK))
    world = World(trust_root=trust)
    world.send(GET)
    world.connect(tls_server(world, make("host", issuer, names=names, usage=SERVER_AUTH), server))
    assert world.result == expected
    assert server.received == b""


@pytest.mark.requirement("R-CEG-020")
def test_https_goes_through_the_proxy_in_a_tunnel(root: Party, trust: Any) -> None:
    host = Server((b"\r\n\r\n", OK))
    world = World(trust_root=trust, proxy=Proxy.of("http://198.51.100.7:3128", "cspd", b"secret"))
    secured = tls_server(world, make("host", root, names=["www.example.com"], usage=SERVER_AUTH), host)

    class ProxyServer(Protocol):
        asked = b""

        def dataReceived(self, data: bytes) -> None:
            if not self.asked:
                self.asked = data
                assert self.transport is not None
                self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
                secured.makeConnection(self.transport)
            else:
                secured.dataReceived(data)

    proxy = ProxyServer()
    world.send(OutboundRequest(method="POST", url="https://www.example.com/", body=b"{}"))
    assert world.reactor.tcpClients[0][:2] == ("198.51.100.7", 3128), "the host's name is for the proxy to resolve"
    world.connect(proxy)
    assert proxy.asked == (
        b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n"
        b"Proxy-Authorization: Basic Y3NwZDpzZWNyZXQ=\r\n\r\n"
    )
    assert host.received == (
        b"POST / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    ), "and the proxy's password is not for the host"
    assert world.result.body == b"ok"


@pytest.mark.requirement("R-CEG-020")
def test_plain_http_is_sent_to_the_proxy() -> None:
    server = Server((b"\r\n\r\n", OK))
    world = World(proxy=Proxy.of("http://198.51.100.7:3128", "cspd", b"secret"))
    world.send(OutboundRequest(method="GET", url="http://www.example.com:8080/a"))
    assert world.reactor.tcpClients[0][:2] == ("198.51.100.7", 3128)
    world.connect(server)
    assert server.received == (
        b"GET http://www.example.com:8080/a HTTP/1.1\r\nHost: www.example.com:8080\r\nConnection: close\r\n"
        b"Proxy-Authorization: Basic Y3NwZDpzZWNyZXQ=\r\n\r\n"
    )
    assert world.result.body == b"ok"


def test_exceptions_are_reached_directly() -> None:
    server = Server((b"\r\n\r\n", OK))
    world = World(proxy=Proxy.of("http://198.51.100.7:3128", "cspd", b"secret"), no_proxy=["192.0.2.0/24"])
    world.send(OutboundRequest(method="GET", url="http://192.0.2.1/a"))
    assert world.reactor.tcpClients[0][:2] == ("192.0.2.1", 80)
    world.connect(server)
    assert server.received == b"GET /a HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("entry", "host", "is_exception"),
    [
        ("example.com", "example.com", True),
        ("example.com", "WWW.Example.com", True),
        (".example.com", "www.example.com.", True),
        ("example.com", "notexample.com", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("192.0.2.0/24", "www.example.com", False),
        ("*", "anything", True),
    ],
)
def test_which_hosts_are_exceptions(entry: str, host: str, is_exception: bool) -> None:
    assert (host in Exceptions([entry])) is is_exception


def test_a_host_that_does_not_answer_in_time_is_given_up(trust: Any) -> None:
    world = World(trust_root=trust, timeout=timedelta(seconds=30))
    world.send(OutboundRequest(method="GET", url="http://192.0.2.1/"))
    world.connect(Server())
    world.reactor.advance(29)
    assert not world.results
    world.reactor.advance(1)
    assert world.result == "RequestFailed: 192.0.2.1: no answer within 30 s"
    assert world.reactor.getDelayedCalls() == []


def test_a_host_that_takes_no_connection_is_given_up() -> None:
    world = World(connect_timeout=timedelta(seconds=3))
    world.send(OutboundRequest(method="GET", url="http://www.example.com/"))
    _, _, factory, timeout, _ = world.reactor.tcpClients[0]
    assert timeout == 3
    factory.clientConnectionFailed(None, Failure(ConnectingTimedOut()))
    world.reactor.advance(1)
    assert world.result == "RequestFailed: www.example.com:80: no connection"


def test_who_asked_may_leave() -> None:
    for is_connected in (False, True):
        world = World()
        work = world.send(OutboundRequest(method="GET", url="http://192.0.2.1/"))
        if is_connected:
            world.connect(Server())
        work.cancel()
        assert isinstance(world.results[0].value, CancelledError)
        assert world.reactor.getDelayedCalls() == []


UNSENDABLE = [
    OutboundRequest(method="GET", url="ftp://example.com/"),
    OutboundRequest(method="GET", url="https:///path"),
    OutboundRequest(method="GET", url="https://user:secret@example.com/"),
    OutboundRequest(method="GET", url="https://example.com/a b"),
    OutboundRequest(method="GET", url="http://example.com/\u00e4"),
    OutboundRequest(method="GET", url="http://example.com/", headers=(("A", "b\r\nC: d"),)),
]


@pytest.mark.parametrize("request_", UNSENDABLE)
def test_what_cannot_be_sent_is_not_sent(request_: OutboundRequest) -> None:
    world = World()
    world.send(request_)
    assert isinstance(world.results[0].value, ValueError)
    assert world.reactor.tcpClients == []


def test_secrets_are_not_shown() -> None:
    request = OutboundRequest(
        method="GET", url="https://a/", headers=(("Authorization", "Bearer t0ken"),), body=b"b0dy"
    )
    shown = repr(request) + repr(Proxy.of("http://p:1", "cspd", b"secret"))
    assert "t0ken" not in shown
    assert "b0dy" not in shown
    assert "Y3Nw" not in shown


BROKEN: list[dict[str, Any]] = [
    {"proxy": "https://proxy.example.com:3128"},
    {"proxy": "http://proxy.example.com"},
    {"proxy": "http://proxy.example.com:70000"},
    {"proxy": "http://user:password@proxy.example.com:3128"},
    {"no_proxy": ["example.com"]},
    {"proxy": "http://p:1", "proxy_user": "a"},
    {"proxy": "http://p:1", "no_proxy": ["http://example.com"]},
    {"timeout": "0s"},
]


@pytest.mark.parametrize("written", BROKEN)
def test_sections_that_make_no_sense_are_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OutboundConfig.model_validate(written)


def test_a_client_is_built_of_the_section(root: Party, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(root.pem)
    config = OutboundConfig.model_validate(
        {
            "proxy": "http://198.51.100.7:3128/",
            "proxy_user": "cspd",
            "proxy_password": {"store": "proxy"},
            "ca_file": "root.pem",
        }
    )
    reactor = MemoryReactorClock()

    def secret(reference: SecretReference) -> bytes:
        assert reference.store == "proxy"
        return b"secret"

    client = build_client(config, reactor=reactor, secret=secret, folder=tmp_path)
    Deferred.fromCoroutine(client.send(GET)).addErrback(lambda failure: failure.trap(RequestFailed))
    factory = reactor.tcpClients[0][2]
    protocol = factory.buildProtocol(None)
    server = Server()
    pump = iosim.connect(server, iosim.makeFakeServer(server), protocol, iosim.makeFakeClient(protocol))
    pump.pump()
    assert b"Basic Y3NwZDpzZWNyZXQ=" in server.received


@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_trust_that_cannot_be_read_is_said(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "root.pem").write_bytes(content)
    with pytest.raises(ValueError, match=r"root\.pem"):
        read_trust(tmp_path / "root.pem")
