"""A listener's life, with a reactor that has no sockets."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from cspd.http.config import Limits, TLSConfig
from cspd.http.message import Response
from cspd.http.router import Router
from cspd.http.selfsigned import self_signed
from cspd.http.tls import ServerTLS
from tests.support.clocks import FrozenClock
from tests.support.listener import Listener
from tests.unit.http.conversation import Client, Server, get, post, statuses


@dataclass
class Port:
    """A listening socket that nobody can reach: bound to nothing."""

    factory: Any
    interface: str
    number: int
    socket: socket.socket = field(default_factory=socket.socket)
    is_listening: bool = True

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.interface, self.number)

    def stopListening(self) -> None:
        self.is_listening = False
        self.socket.close()


class Reactor(Clock):
    """Time and ports."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []

    def listenTCP(self, port: int, factory: Any, backlog: int, interface: str) -> Port:
        if any(other.number == port and other.is_listening for other in self.ports):
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        self.ports.append(Port(factory, interface, port))
        return self.ports[-1]


class Fixture:
    def __init__(self, **options: Any) -> None:
        self.reactor = Reactor()
        self.server = Server()
        self.listener = self.make(**options)

    def make(self, **options: Any) -> Listener:
        return Listener(
            "public",
            ("127.0.0.1", 8080),
            Router(self.server.standard_routes()),
            Limits(),
            reactor=self.reactor,
            clock=FrozenClock(),
            random=Random(1),
            **options,
        )

    @property
    def port(self) -> Port:
        return self.reactor.ports[-1]


@pytest.fixture
def started() -> Any:
    fixture = Fixture()
    fixture.listener.privilegedStartService()
    fixture.listener.startService()
    yield fixture
    fixture.port.socket.close()


def test_it_binds_once_before_privileges_are_dropped(started: Fixture) -> None:
    assert len(started.reactor.ports) == 1
    assert (started.port.interface, started.listener.port) == ("127.0.0.1", 8080)
    assert started.port.factory is started.listener.factory


@pytest.mark.requirement("R-PLAT-002")
def test_port_that_is_taken_raises_with_address_and_port(started: Fixture) -> None:
    """Out of privilegedStartService, so that twistd ends with it (tests/interop has the whole daemon)."""
    with pytest.raises(CannotListenError, match=r"127\.0\.0\.1:8080: .*Address already in use"):
        started.make().privilegedStartService()


@pytest.mark.requirement("R-PLAT-100")
@pytest.mark.requirement("R-TSA-009")
def test_accepted_sockets_inherit_keep_alive(started: Fixture) -> None:
    """180 seconds: 90 of silence, then three probes every 30."""
    listening = started.port.socket
    tcp = socket.IPPROTO_TCP
    assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert listening.getsockopt(tcp, socket.TCP_KEEPIDLE) == 90
    assert listening.getsockopt(tcp, socket.TCP_KEEPINTVL) == 30
    assert listening.getsockopt(tcp, socket.TCP_KEEPCNT) == 3
    assert listening.getsockopt(tcp, socket.TCP_NODELAY) == 1
    started.listener.reconfigure(started.listener.factory.router, Limits(tcp_keep_alive=timedelta(seconds=60)))
    assert listening.getsockopt(tcp, socket.TCP_KEEPIDLE) == 30


def test_new_routes_and_limits_without_closing(started: Fixture) -> None:
    client = Client(started.listener.factory)
    assert statuses(client.send(get("/echo"))) == [200]
    started.listener.reconfigure(Router([]), Limits(max_body_bytes=1))
    assert statuses(client.send(get("/echo"))) == [404]
    assert started.port.is_listening
    started.listener.reconfigure(Router(started.server.standard_routes()), Limits(max_body_bytes=1))
    assert statuses(client.send(post("/echo", b"xy"))) == [413]


@pytest.mark.requirement("R-PLAT-006")
def test_stop_accepts_nothing_more_and_lets_requests_end(started: Fixture) -> None:
    client, idle = Client(started.listener.factory), Client(started.listener.factory)
    client.send(get("/wait"))
    stopped: list[None] = []
    started.listener.stopService().addCallback(stopped.append)
    assert not started.port.is_listening
    assert idle.is_closed
    idle.finish()
    started.reactor.pump([1] * 14)
    assert not client.is_refused
    started.server.waiting[0].callback(Response(200))
    assert statuses(client.received()) == [200]
    client.finish()
    assert stopped
    assert not started.reactor.getDelayedCalls()


@pytest.mark.requirement("R-PLAT-006")
def test_stop_aborts_what_outlasts_the_grace(started: Fixture) -> None:
    client = Client(started.listener.factory)
    client.send(get("/wait"))
    stopped: list[None] = []
    started.listener.stopService().addCallback(stopped.append)
    started.reactor.pump([1] * 14)
    assert not stopped
    started.reactor.advance(1)
    assert client.wire.is_aborted
    assert stopped
    assert not started.reactor.getDelayedCalls()


def test_stop_of_one_that_never_started_is_nothing() -> None:
    stopped: list[None] = []
    Fixture().listener.stopService().addCallback(stopped.append)
    assert stopped


def test_tls_stands_between() -> None:
    now = FrozenClock().now()
    fixture = Fixture(tls=ServerTLS(self_signed(["a.example"], [], now=now), TLSConfig()))
    fixture.listener.startService()
    assert fixture.port.factory.wrappedFactory is fixture.listener.factory
    fixture.port.socket.close()
