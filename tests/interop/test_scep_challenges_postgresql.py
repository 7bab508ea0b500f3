"""Two nodes on one PostgreSQL: deliveries of a webhook that come to both at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest

from cspd.authority.values import Requester
from cspd.refusals import LimitExceeded
from cspd.store.secrets import SharedSecrets
from protocols.scep.challenge_making import ChallengeMaking, MadeChallenge, Order
from protocols.scep.interfaces import Terms
from tests.interop.test_approvals_postgresql import AT_ONCE, Offices
from tests.interop.test_authority_postgresql import Nodes
from tests.support.authorities import ISSUING
from tests.support.postgresql import postgresql, postgresql_server

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures


@pytest.fixture
def offices(postgresql: str) -> Iterator[Offices]:
    nodes = Nodes(postgresql)
    yield Offices(nodes)
    nodes.stop()


def order(repeats: bytes | None, max_usable: int = 100) -> Order:
    return Order(
        terms=Terms(ca=ISSUING, profile="tls-client"),
        by=Requester(protocol="scep-webhook", identity="key"),
        identity="device 7",
        lifetime=timedelta(minutes=60),
        max_usable=max_usable,
        repeats=repeats,
    )


def make_at_once(offices: Offices, order: Order) -> list[object]:
    houses = (offices.nodes.first, offices.nodes.second)
    makings = [
        ChallengeMaking(
            random=Random(seed),
            secrets=node.secrets,
            shared_secrets=SharedSecrets(
                database=house.database, clock=house.clock, random_bytes=Random(seed).randbytes
            ),
        )
        for seed, (house, node) in enumerate(zip(houses, offices.both, strict=True))
    ]
    return offices.nodes.at_once(*(making.make(order) for making in makings for _ in range(AT_ONCE)))


def test_one_delivery_at_both_nodes_gets_one_challenge(offices: Offices) -> None:
    for number in range(3):
        answers = make_at_once(offices, order(b"delivery %d" % number))
        assert {type(each) for each in answers} == {MadeChallenge}
        assert len({each.text for each in answers if isinstance(each, MadeChallenge)}) == 1
    assert len(offices.run(offices.both[0].secrets.list(purpose="scep"))) == 3


def test_the_limit_is_exceeded_by_one_for_each_writer_at_most(offices: Offices) -> None:
    """A limit is no lock: what several nodes make at the same moment is not counted by the others."""
    answers = [answer for _ in range(3) for answer in make_at_once(offices, order(None, max_usable=3))]
    made = [each for each in answers if isinstance(each, MadeChallenge)]
    assert len(made) < len(answers)
    assert {type(each) for each in answers} == {MadeChallenge, LimitExceeded}
    assert 3 <= len(made) <= 3 + 2 * AT_ONCE
