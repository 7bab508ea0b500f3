"""What became of requests, as the metrics page counts it."""

from __future__ import annotations

import pytest

from cspd.directory.values import NameFlag
from cspd.refusals import Unavailable
from protocols.wstep.metrics import AnsweredRequests
from tests.protocols.wstep.accounts import granted, template
from tests.protocols.wstep.test_authentication import FakeNegotiation
from tests.protocols.wstep.world import ALICE, KERBEROS, World, message


def counts(answered: AnsweredRequests) -> dict[tuple[str, str], float]:
    (family,) = answered.collect()
    assert family.name == "cspd_wstep_requests"
    assert all(sample.name == "cspd_wstep_requests_total" for sample in family.samples)
    return {(each.labels["mode"], each.labels["outcome"]): each.value for each in family.samples}


@pytest.fixture
def world() -> World:
    world = World(tickets=FakeNegotiation())
    world.directory.known_templates = [template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME)]
    return world


def test_outcomes_by_mode(world: World) -> None:
    world.issue()
    world.issue()
    world.issue(user=(ALICE[0], "wrong"))
    world.post(b"<no message/>")
    world.ask(token_text="%%%")
    world.directory.known_templates = [template(security=granted("S-1-5-21-9-9-9-9"))]
    world.issue()
    world.directory.refusal = Unavailable("no domain controller answers")
    world.issue()
    assert counts(world.answered) == {
        ("usertoken", "issued"): 2,
        ("usertoken", "unauthenticated"): 1,
        ("usertoken", "malformed"): 2,
        ("usertoken", "refused"): 1,
        ("usertoken", "unavailable"): 1,
    }


def test_tickets(world: World) -> None:
    for authorization in (None, "Negotiate more", "NTLM TlRMTVNTUAAB", "Negotiate name:alice@EXAMPLE.COM"):
        world.post(message(user=None, token=world.csr()), path=KERBEROS, authorization=authorization)
    assert counts(world.answered) == {("kerberos", "issued"): 1, ("kerberos", "unauthenticated"): 1}
