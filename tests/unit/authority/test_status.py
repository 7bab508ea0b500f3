"""What is known about serial numbers, on one node and on two."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from cspd.authority.status import StatusService
from cspd.authority.values import Authority, CertificateState, CertificateStatus, RevocationReason
from cspd.refusals import Unavailable
from cspd.store.tables import certificates
from tests.support.authorities import ALICE, ISSUING, Installation
from tests.support.running import result_of

GOOD = CertificateStatus(state=CertificateState.GOOD)


def following() -> tuple[Installation, Authority]:
    """An installation whose status service follows the changes, with a certificate 5."""
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    here.status.start()
    here.reactor.advance(0.5)
    return here, issuing


def test_an_answer_is_remembered() -> None:
    here, issuing = following()
    assert here.status.cached(issuing.id, 5) is None
    assert result_of(here.status.status(issuing.id, 5)) == GOOD
    assert here.status.cached(issuing.id, 5) == GOOD


def test_nothing_is_remembered_before_the_changes_are_followed() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    assert result_of(here.status.status(issuing.id, 5)) == GOOD
    assert here.status.cached(issuing.id, 5) is None


def test_a_revocation_here_shows_at_once() -> None:
    here, issuing = following()
    result_of(here.status.status(issuing.id, 5))
    version = here.status.version
    here.revoke(issuing, 5)
    cached = here.status.cached(issuing.id, 5)
    assert cached is not None
    assert cached.state is CertificateState.REVOKED
    assert here.status.version > version


def test_a_revocation_elsewhere_shows_within_a_second() -> None:
    here, issuing = following()
    there = Installation(shares=here)
    there.status.start()
    there.reactor.advance(0.5)
    assert result_of(there.status.status(issuing.id, 5)) == GOOD
    version = there.status.version
    here.revoke(issuing, 5, RevocationReason.CERTIFICATE_HOLD)
    there.reactor.advance(1)
    cached = there.status.cached(issuing.id, 5)
    assert cached is not None
    assert cached.state is CertificateState.HELD
    assert there.status.version > version
    result_of(here.revocation.unhold(ISSUING, 5, ALICE))
    there.reactor.advance(1)
    assert there.status.cached(issuing.id, 5) == GOOD


def test_a_certificate_is_good_the_moment_it_is_issued() -> None:
    here, issuing = following()
    assert result_of(here.status.status(issuing.id, 6)) is None
    here.issue(issuing, 6)
    assert result_of(here.status.status(issuing.id, 6)) == GOOD


def test_a_record_without_signature_is_not_remembered() -> None:
    here, issuing = following()
    update = certificates.update().where(certificates.c.serial == 5)

    def set_state(state: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(update.values(state=state))

        result_of(here.database.write(work))

    set_state("reserved")
    reserved = result_of(here.status.status(issuing.id, 5))
    assert reserved is not None
    assert reserved.state is CertificateState.RESERVED
    set_state("good")
    assert result_of(here.status.status(issuing.id, 5)) == GOOD


def test_memory_is_bounded_and_forgets_what_was_asked_longest_ago() -> None:
    here, issuing = following()
    status = StatusService(clock=here.clock, database=here.database, reactor=here.reactor, capacity=2)
    status.start()
    here.reactor.advance(0.5)
    for serial in (6, 7):
        here.issue(issuing, serial)
    for serial in (5, 6):
        result_of(status.status(issuing.id, serial))
    status.cached(issuing.id, 5)
    result_of(status.status(issuing.id, 7))
    assert [status.cached(issuing.id, serial) is not None for serial in (5, 6, 7)] == [True, False, True]


class WaitingDatabase:
    """Reads at once and answers later, as a thread may."""

    def __init__(self, here: Installation) -> None:
        self._database = here.database
        self.answers: list[Deferred[None]] = []

    async def read(self, work):  # type: ignore[no-untyped-def]
        result = await self._database.read(work)
        answer: Deferred[None] = Deferred()
        self.answers.append(answer)
        await answer
        return result

    async def write(self, work):  # type: ignore[no-untyped-def]
        return await self._database.write(work)


def test_an_answer_read_before_a_revocation_is_not_remembered_after_it() -> None:
    here, issuing = following()
    waiting = WaitingDatabase(here)
    here.status._database = waiting
    asked = Deferred.fromCoroutine(here.status.status(issuing.id, 5))
    here.revoke(issuing, 5)
    waiting.answers[0].callback(None)
    assert asked.called
    assert here.status.cached(issuing.id, 5) is None


class BrokenDatabase:
    """A store that does not answer."""

    async def read(self, work):  # type: ignore[no-untyped-def]
        raise Unavailable("no store")

    async def write(self, work):  # type: ignore[no-untyped-def]
        raise Unavailable("no store")


def test_memory_answers_for_a_while_when_the_store_does_not() -> None:
    here, issuing = following()
    result_of(here.status.status(issuing.id, 5))
    here.status._database = BrokenDatabase()
    here.clock.advance(timedelta(minutes=9))
    here.reactor.advance(1)
    assert here.status.cached(issuing.id, 5) == GOOD
    with pytest.raises(Unavailable):
        result_of(here.status.status(issuing.id, 6))
    here.clock.advance(timedelta(minutes=1))
    here.reactor.advance(1)
    assert here.status.cached(issuing.id, 5) is None
    here.status._database = here.database
    here.reactor.advance(1)
    assert here.status.cached(issuing.id, 5) == GOOD
