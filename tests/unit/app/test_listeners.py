from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock

from cspd.daemon.listeners import Address, CannotListen, Listeners, Wanted
from tests.support.running import result_of

PUBLIC = Wanted(name="public", address=("127.0.0.1", 8080))
SECOND = Wanted(name="second", address=("127.0.0.1", 8081))
OCCUPIED = Wanted(name="occupied", address=("127.0.0.1", 9999))


class Answers:
    """A factory that notes its connections and drains when told."""

    def __init__(self, *, is_adaptable: bool = False) -> None:
        self.adopted: object = None
        self._is_adaptable = is_adaptable
        self.connections = 0
        self.draining: Deferred[None] | None = None

    def buildProtocol(self, addr: Any) -> Protocol:
        self.connections += 1
        return Protocol()

    def adopt(self, other: object) -> bool:
        self.adopted = other if self._is_adaptable else None
        return self._is_adaptable

    def tune(self, port: Any) -> None:
        self.tuned = port

    def drain(self) -> Deferred[None]:
        self.draining = Deferred()
        return self.draining


class OccupiedEndpoint:
    def listen(self, factory: Any) -> Deferred[Any]:
        return fail(CannotListenError("127.0.0.1", 9999, OSError(98, "Address already in use")))


@pytest.fixture
def reactor() -> MemoryReactorClock:
    return MemoryReactorClock()


@pytest.fixture
def listeners(reactor: MemoryReactorClock) -> Listeners:
    def endpoint(address: Address) -> Any:
        assert isinstance(address, tuple)
        if address == OCCUPIED.address:
            return OccupiedEndpoint()
        return TCP4ServerEndpoint(reactor, address[1], interface=address[0])

    return Listeners(endpoint)


def connect(reactor: MemoryReactorClock, port: int) -> Any:
    """What a client on that port gets: a protocol, or None."""
    [factory] = [server[1] for server in reactor.tcpServers if server[0] == port]
    return factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))


def test_bound_port_serves_nobody_before_it_is_told_what(reactor: MemoryReactorClock, listeners: Listeners) -> None:
    listeners.bind([PUBLIC])
    assert connect(reactor, 8080) is None
    listeners.serve([(PUBLIC, answers := Answers())])
    assert connect(reactor, 8080) is not None
    assert answers.connections == 1


@pytest.mark.requirement("R-PLAT-002")
def test_occupied_port_is_named_and_nothing_else_stays_bound(reactor: MemoryReactorClock, listeners: Listeners) -> None:
    with pytest.raises(CannotListen) as refused:
        listeners.bind([PUBLIC, OCCUPIED])
    assert str(refused.value) == 'listener "occupied" cannot listen on 127.0.0.1:9999: Address already in use'
    assert listeners.addresses == {}
    listeners.bind([PUBLIC])  # free again


def test_factory_adopts_the_new_configuration_and_keeps_its_connections(
    reactor: MemoryReactorClock, listeners: Listeners
) -> None:
    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, present := Answers(is_adaptable=True))])
    listeners.serve([(PUBLIC, wanted := Answers())])
    connect(reactor, 8080)
    assert present.adopted is wanted
    assert present.connections == 1
    assert present.draining is None


def test_factory_that_cannot_adopt_is_replaced_on_the_open_port(
    reactor: MemoryReactorClock, listeners: Listeners
) -> None:
    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, former := Answers())])
    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, present := Answers())])
    connect(reactor, 8080)
    assert (former.connections, present.connections) == (0, 1)
    assert len(reactor.tcpServers) == 1
    assert former.draining is not None
    assert present.draining is None


def test_port_that_is_wanted_no_more_is_closed_and_drains(reactor: MemoryReactorClock, listeners: Listeners) -> None:
    listeners.bind([PUBLIC, SECOND])
    listeners.serve([(PUBLIC, Answers()), (SECOND, former := Answers())])
    listeners.serve([(PUBLIC, Answers())])
    assert set(listeners.addresses) == {"public"}
    assert former.draining is not None
    assert connect(reactor, 8081) is None


def test_refused_change_leaves_the_open_ports_as_they_are(reactor: MemoryReactorClock, listeners: Listeners) -> None:
    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, answers := Answers())])
    with pytest.raises(CannotListen):
        listeners.bind([PUBLIC, OCCUPIED])
    connect(reactor, 8080)
    assert answers.connections == 1
    assert answers.draining is None


@pytest.mark.requirement("R-PLAT-006")
def test_stop_waits_for_every_connection_retired_ones_too(reactor: MemoryReactorClock, listeners: Listeners) -> None:
    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, former := Answers())])
    listeners.serve([(PUBLIC, present := Answers())])
    stopping: list[object] = []
    Deferred.fromCoroutine(listeners.stop()).addBoth(stopping.append)
    assert connect(reactor, 8080) is None
    assert present.draining is not None
    present.draining.callback(None)
    assert stopping == []
    assert former.draining is not None
    former.draining.callback(None)
    assert stopping == [None]


def test_failing_drain_is_logged_and_does_not_hold_the_stop(listeners: Listeners) -> None:
    class Broken(Answers):
        def drain(self) -> Deferred[None]:
            return fail(ValueError("broken"))

    listeners.bind([PUBLIC])
    listeners.serve([(PUBLIC, Broken())])
    result_of(listeners.stop())
