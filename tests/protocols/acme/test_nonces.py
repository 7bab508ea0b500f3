"""Nonces: sealed, shared, used once."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from protocols.acme.errors import ACMEError
from protocols.acme.json_text import encode_base64url
from protocols.acme.nonces import Nonces
from protocols.acme.tables import acme_used_nonces
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.running import result_of


class Nodes:
    """Nodes on one database, a clock each."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self._seed = 0

    def node(self, clock: FrozenClock | None = None) -> Nonces:
        self._seed += 1
        return Nonces(
            database=self.database,
            clock=clock or FrozenClock(),
            random=Random(self._seed),
            lifetime=timedelta(hours=1),
        )

    def recorded(self) -> int:
        with self.database.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(acme_used_nonces)) or 0


def error_of(nonces: Nonces, nonce: str) -> str:
    with pytest.raises(ACMEError) as raised:
        result_of(nonces.use(nonce))
    return raised.value.problem.type.value


def test_a_nonce_is_used_once_over_all_nodes() -> None:
    nodes = Nodes()
    first, second = nodes.node(), nodes.node()
    nonce = result_of(first.make())
    result_of(second.use(nonce))
    assert error_of(first, nonce) == "badNonce"
    assert error_of(second, nonce) == "badNonce"


def test_making_a_nonce_records_nothing() -> None:
    nodes = Nodes()
    node = nodes.node()
    assert len({result_of(node.make()) for _ in range(1000)}) == 1000
    assert nodes.recorded() == 0


@pytest.mark.parametrize("age", [timedelta(0), timedelta(minutes=59), timedelta(seconds=-59)])
def test_a_nonce_of_this_age_is_good(age: timedelta) -> None:
    nodes, clock = Nodes(), FrozenClock()
    nonce = result_of(nodes.node(clock).make())
    clock.advance(age)
    result_of(nodes.node(clock).use(nonce))


@pytest.mark.parametrize("age", [timedelta(hours=1, seconds=1), timedelta(days=400), timedelta(seconds=-61)])
def test_a_nonce_of_this_age_is_not(age: timedelta) -> None:
    nodes, clock = Nodes(), FrozenClock()
    nonce = result_of(nodes.node(clock).make())
    clock.advance(age)
    assert error_of(nodes.node(clock), nonce) == "badNonce"


def test_a_forgotten_nonce_cannot_come_back() -> None:
    """The record goes only when the nonce would be refused for its age on every node."""
    nodes, clock = Nodes(), FrozenClock()
    node = nodes.node(clock)
    nonce = result_of(node.make())
    result_of(node.use(nonce))
    clock.advance(timedelta(hours=1, seconds=59))
    result_of(node.delete_expired())
    assert nodes.recorded() == 1
    clock.advance(timedelta(seconds=62))
    result_of(node.delete_expired())
    assert nodes.recorded() == 0
    assert error_of(node, nonce) == "badNonce"


def test_a_nonce_of_another_installation_is_refused() -> None:
    nonce = result_of(Nodes().node().make())
    other = Nodes()
    other.node()
    assert error_of(other.node(), nonce) == "badNonce"


@given(octets=st.binary(max_size=40) | st.binary(min_size=32, max_size=32))
def test_no_invented_nonce_is_taken(octets: bytes) -> None:
    assert error_of(_NODE, encode_base64url(octets)) == "badNonce"


_NODE = Nodes().node()
