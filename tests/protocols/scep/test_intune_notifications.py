"""What became of a request reaches Intune, whatever happens in between."""

from __future__ import annotations

from datetime import timedelta

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from cspd.audit.events import Outcome
from cspd.health import HealthState
from cspd.refusals import Conflict, Unavailable
from protocols.scep.intune.notification_rows import Notification
from protocols.scep.intune.notifications import AT_ONCE, CLAIM, FIRST_CLAIM, GIVE_UP_AFTER, LATE, LONGEST_PAUSE
from protocols.scep.intune.values import IntuneCode, IssuedNotice, RefusedByIntune, RefusedNotice
from tests.protocols.scep.intune_world import INTUNE_PROFILE, IntuneWorld
from tests.protocols.scep.world import RA_PROFILE
from tests.support.authorities import ALICE, ISSUING
from tests.support.running import result_of

AWAY = Unavailable("Intune cannot be asked", detail="no connection")
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> IntuneWorld:
    return IntuneWorld()


def later(world: IntuneWorld, span: timedelta) -> None:
    """The job runs that much later."""
    world.house.clock.advance(span)
    result_of(world.notifications.run())


@pytest.mark.requirement("R-CEGI-112")
def test_a_notification_is_kept_until_intune_takes_it(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    with capturedLogs() as logs:
        certificate = world.enroll()
    assert [each["log_level"] for each in logs if "Intune" in each["log_format"]] == [LogLevel.warn]
    [row] = world.waiting
    assert (row["serial"], row["attempts"]) == (certificate.serial_number, 1)
    world.intune.deaf = None
    later(world, FIRST_CLAIM - SECOND)
    assert world.intune.told == []
    later(world, SECOND)
    [notice] = world.intune.told
    assert isinstance(notice, IssuedNotice)
    assert notice.serial == certificate.serial_number
    assert world.waiting == []


@pytest.mark.requirement("R-CEGI-112")
def test_a_process_that_dies_before_it_tells_is_succeeded_by_another(world: IntuneWorld) -> None:
    world.intune.hold = Deferred()  # a process that dies never gets its answer
    certificate = world.enroll()
    assert len(world.waiting) == 1
    other = IntuneWorld(shares=world)
    world.intune.hold = None
    later(other, FIRST_CLAIM - SECOND)
    assert world.intune.told == [], "the first may still be at it"
    later(other, SECOND)
    assert [each.serial for each in world.intune.told if isinstance(each, IssuedNotice)] == [certificate.serial_number]
    assert world.waiting == []


def test_two_nodes_do_not_send_the_same(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    world.enroll()
    world.house.clock.advance(FIRST_CLAIM)
    world.intune.deaf, world.intune.hold = None, Deferred()
    sending = Deferred.fromCoroutine(world.notifications.run())
    other = IntuneWorld(shares=world)
    world.intune.hold, hold = None, world.intune.hold
    result_of(other.notifications.run())
    assert world.intune.told == []
    hold.callback(None)
    assert sending.called
    assert len(world.intune.told) == 1


def test_a_notification_is_as_durable_as_its_certificate(world: IntuneWorld) -> None:
    """They are one transaction: without the one there is no other."""

    def fail(*_: object) -> None:
        raise Conflict("no")

    world.notifications.record_issued = fail  # type: ignore[method-assign]  # stands for a store that refuses
    world.refused()
    assert world.certificate_count == 0
    [notice] = world.intune.told
    assert isinstance(notice, RefusedNotice)


def test_pauses_grow_up_to_an_hour(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    world.enroll()
    pauses = []
    for _ in range(10):
        [row] = world.waiting
        pauses.append(row["next_attempt_at"] - world.house.clock.now())
        later(world, pauses[-1])
    assert pauses[:4] == [FIRST_CLAIM, 2 * FIRST_CLAIM, 4 * FIRST_CLAIM, 8 * FIRST_CLAIM]
    assert pauses[-1] == LONGEST_PAUSE


@pytest.mark.requirement("R-CEGI-112")
def test_after_three_days_it_is_given_up_and_said_so(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    certificate = world.enroll()
    later(world, GIVE_UP_AFTER - SECOND)
    assert len(world.waiting) == 1
    with capturedLogs() as logs:
        later(world, LONGEST_PAUSE)
    assert world.waiting == []
    assert [each["log_level"] for each in logs] == [LogLevel.error]
    [event] = [each for each in world.house.audit.events if each.event == "intune-notification-abandoned"]
    assert event.outcome is Outcome.FAILED
    assert event.fields["serial"] == format(certificate.serial_number, "x")
    assert event.fields["reason"] == "no connection"
    assert world.world.status(certificate).revoked_at is None, "the certificate stays"


def test_what_intune_does_not_take_is_given_up_at_once(world: IntuneWorld) -> None:
    world.intune.deaf = RefusedByIntune(IntuneCode.CHALLENGE_DECRYPTION_ERROR, description="why")
    world.enroll()
    assert world.waiting == []
    [event] = [each for each in world.house.audit.events if each.event == "intune-notification-abandoned"]
    assert event.fields["reason"] == "Intune does not take it: ChallengeDecryptionError: why"


def test_what_intune_has_no_reason_for_is_tried_again(world: IntuneWorld) -> None:
    world.intune.deaf = RefusedByIntune(IntuneCode.UNKNOWN, said="SomethingNew")
    world.enroll()
    assert len(world.waiting) == 1


def test_an_unexpected_error_loses_nothing(world: IntuneWorld) -> None:
    world.intune.deaf = ZeroDivisionError()
    with capturedLogs() as logs:
        world.enroll()
    assert any(each["log_level"] is LogLevel.critical for each in logs)
    assert len(world.waiting) == 1
    world.intune.deaf = None
    later(world, FIRST_CLAIM)
    assert world.waiting == []


def test_an_intune_that_is_away_is_asked_once_in_a_run(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    for key in (1, 2, 3):
        world.enroll(world.csr(key=key), key=key)
    assert [row["attempts"] for row in world.waiting] == [1, 1, 1]
    later(world, FIRST_CLAIM)
    assert sorted(row["attempts"] for row in world.waiting) == [1, 1, 2]
    world.intune.deaf = None
    later(world, 2 * FIRST_CLAIM)
    assert world.waiting == []


def test_what_is_wrong_with_one_keeps_no_other(world: IntuneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.intune.deaf = AWAY
    for key in (1, 2):
        world.enroll(world.csr(key=key), key=key)
    world.intune.deaf = None
    tell, broken = world.notifications._tell, [True]

    async def tell_or_fail(notification: Notification) -> None:
        if broken:
            broken.clear()
            raise ZeroDivisionError
        await tell(notification)

    monkeypatch.setattr(world.notifications, "_tell", tell_or_fail)
    later(world, FIRST_CLAIM)
    assert len(world.intune.told) == len(world.waiting) == 1
    later(world, CLAIM)
    assert world.waiting == []


def test_more_than_a_batch_is_sent_in_a_run(world: IntuneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.scep.intune.notifications.BATCH", 2)
    world.intune.deaf = AWAY
    for key in (1, 2, 3):
        world.enroll(world.csr(key=key), key=key)
    world.intune.deaf = None
    later(world, FIRST_CLAIM)
    assert world.waiting == []


@pytest.mark.requirement("R-CEG-075")
def test_a_failure_is_kept_too_once_intune_had_agreed(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    result_of(world.house.management.edit(ISSUING, ALICE, profiles=[RA_PROFILE, INTUNE_PROFILE]))
    world.refused(profile="intune-non-repudiation")
    [row] = world.waiting
    assert row["serial"] is None
    world.intune.deaf = None
    later(world, FIRST_CLAIM)
    [notice] = world.intune.told
    assert isinstance(notice, RefusedNotice)
    assert notice.description == row["reason"]
    assert world.waiting == []


def test_a_failure_is_forgotten_when_the_device_succeeds(world: IntuneWorld) -> None:
    """Intune must not hear of them in the wrong order."""
    world.intune.deaf = AWAY
    result_of(world.house.management.edit(ISSUING, ALICE, profiles=[RA_PROFILE, INTUNE_PROFILE]))
    world.refused(profile="intune-non-repudiation")
    certificate = world.enroll()
    [row] = world.waiting
    assert row["serial"] == certificate.serial_number


def test_many_at_once_are_left_to_the_job(world: IntuneWorld) -> None:
    world.intune.hold = Deferred()
    request_of = world.csr
    for number in range(AT_ONCE + 1):
        world.intune.verdict = RefusedByIntune(IntuneCode.CHALLENGE_EXPIRED)
        world.refused(request_of(common_name=f"device {number}"))
    assert len(world.notifications._running) == AT_ONCE
    world.intune.verdict = None
    world.enroll()
    hold, world.intune.hold = world.intune.hold, None
    hold.callback(None)
    assert len(world.intune.told) == AT_ONCE
    later(world, FIRST_CLAIM)
    assert isinstance(world.intune.told[-1], IssuedNotice)


def test_stopping_ends_what_is_being_sent_and_loses_nothing(world: IntuneWorld) -> None:
    world.intune.hold = Deferred()
    world.enroll()
    assert world.notifications.stop().called
    assert len(world.waiting) == 1


def test_health_tells_of_what_waits_for_long(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    world.enroll()
    later(world, LATE - SECOND)
    assert world.notifications.health().state is HealthState.OK
    later(world, SECOND)
    health = world.notifications.health()
    assert health.state is HealthState.DEGRADED
    assert "1 outcomes" in health.reason
    world.intune.deaf = None
    later(world, LONGEST_PAUSE)
    assert world.notifications.health().state is HealthState.OK


def test_a_certificate_whose_ca_is_gone_is_told_no_more(world: IntuneWorld) -> None:
    world.intune.deaf = AWAY
    world.enroll()
    result_of(world.house.management.disable(ISSUING, ALICE))
    result_of(world.house.management.delete(ISSUING, ALICE))
    world.intune.deaf = None
    later(world, FIRST_CLAIM)
    assert world.waiting == []
