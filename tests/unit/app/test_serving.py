from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock, StringTransport

from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
from cspd.daemon.deployment import Deployment
from cspd.daemon.serving import Serving, build_serving
from cspd.daemon.watching import watched
from cspd.http.message import Request, Response, Route
from cspd.monitoring.requests import RequestCounters
from cspd.plugin import ProtocolService
from cspd.turns import EndOfTurn
from tests.support.clocks import FrozenClock
from tests.support.metrics import collected
from tests.unit.config.installations import SOUND, install


def answering(text: bytes) -> Route:
    async def answer(request: Request) -> Response:
        return Response(200, text)

    return Route(methods=("GET",), path="/", handler=answer)


def serving(folder: Path, reactor: MemoryReactorClock, text: bytes, conf: str = SOUND) -> dict[str, Serving]:
    configuration = load_configuration(install(folder, conf), environment={}, clock=FrozenClock())
    routes: dict[str, list[Route]] = {"acme": [], "ocsp": [answering(text)], "repository": []}
    protocols = {name: ProtocolService(routes=found) for name, found in routes.items()}
    deployment = Deployment(configuration=configuration, protocols=protocols)
    built = build_serving(
        deployment,
        reactor=reactor,
        end_of_turn=EndOfTurn(reactor.callLater),
        clock=FrozenClock(),
        random=Random(1),
        requests=RequestCounters(),
    )
    return {wanted.name: each for wanted, each in built}


def ask(connection: Any) -> bytes:
    connection.transport.clear()
    connection.dataReceived(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    answer: bytes = connection.transport.value().rpartition(b"\r\n\r\n")[2]
    return answer


def connect(factory: Serving) -> Any:
    connection = factory.buildProtocol(None)
    connection.makeConnection(StringTransport())
    return connection


def test_open_connection_gets_the_new_routes_with_its_next_request(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    present = serving(tmp_path, reactor, b"old")["http"]
    connection = connect(present)
    assert ask(connection) == b"old"
    assert present.adopt(serving(tmp_path, reactor, b"new")["http"])
    assert ask(connection) == b"new"


def test_listener_that_changes_to_tls_needs_other_connections(tmp_path: Path) -> None:
    built = serving(tmp_path, MemoryReactorClock(), b"x")
    assert not built["http"].adopt(built["https"])
    assert not built["https"].adopt(built["http"])


@pytest.mark.requirement("R-PLAT-027")
def test_new_certificate_is_adopted(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    present = serving(tmp_path, reactor, b"x")["https"]
    wanted = serving(tmp_path, reactor, b"x")["https"]  # install() made a new certificate
    assert present.adopt(wanted)
    assert present._tls is not None
    assert wanted._tls is not None
    assert present._tls.credentials.certificate == wanted._tls.credentials.certificate


def test_protocols_and_certificates_are_watched(tmp_path: Path) -> None:
    """Requests are counted by the protocol that answers on the listener."""
    configuration = load_configuration(install(tmp_path), environment={}, clock=FrozenClock())
    protocols = {name: ProtocolService(routes=[]) for name in ("acme", "repository")}
    deployment = Deployment(
        configuration=configuration, protocols={**protocols, "ocsp": ProtocolService(routes=[answering(b"x")])}
    )
    requests = RequestCounters()
    reactor = MemoryReactorClock()
    built = build_serving(
        deployment,
        reactor=reactor,
        end_of_turn=EndOfTurn(reactor.callLater),
        clock=FrozenClock(),
        random=Random(1),
        requests=requests,
    )
    ask(connect({wanted.name: each for wanted, each in built}["http"]))
    assert collected(requests)["cspd_http_requests_total", ("http", "GET", "ocsp", "2xx")] == 1.0
    sources = watched(deployment, built, FrozenClock())
    assert list(sources) == ["tls", "acme", "repository", "ocsp"]
    ((_, labels),) = collected(sources["tls"].metrics[0])
    assert labels == ("https",)


def test_drain_cuts_off_what_outlives_the_graceful_timeout(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    factory = serving(tmp_path, reactor, b"x")["http"]
    connection = connect(factory)
    connection.dataReceived(b"GET / HTTP/1.1\r\n")
    drained: list[object] = []
    factory.drain().addBoth(drained.append)
    reactor.advance(14)
    assert not connection.transport.disconnecting
    reactor.advance(2)
    assert connection.transport.disconnecting or connection.transport.disconnected


def test_routes_that_contradict_each_other_are_refused_by_the_listeners_name(tmp_path: Path) -> None:
    configuration = load_configuration(install(tmp_path), environment={}, clock=FrozenClock())
    twice = ProtocolService(routes=[answering(b"x"), answering(b"y")])
    protocols = {"acme": ProtocolService(routes=[]), "ocsp": twice, "repository": ProtocolService(routes=[])}
    deployment = Deployment(configuration=configuration, protocols=protocols)
    reactor = MemoryReactorClock()
    with pytest.raises(ConfigurationRefused, match=r"listeners\.http\.protocols: GET /: also claimed by /"):
        build_serving(
            deployment,
            reactor=reactor,
            end_of_turn=EndOfTurn(reactor.callLater),
            clock=FrozenClock(),
            random=Random(1),
            requests=RequestCounters(),
        )
