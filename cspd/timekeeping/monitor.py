"""The system clock while a time source vouches for it.

Every ``poll_interval`` the source is asked. Its answer is good or bad (:mod:`cspd.timekeeping.assessment`), and so is
the clock until the next answer: a poll that fails makes it bad at once, the first good one makes it good again, and
before the first it is bad (R-TSA-053, R-TSA-054). A good answer that no other follows in time expires.

Between polls, each :meth:`ClockMonitor.now` compares wall clock and monotonic clock with what they were when the
source last measured (:mod:`cspd.timekeeping.reading`). A step by more than ``max_error``, or one that takes a known
offset beyond it, makes the clock bad at once. It is good again when the source says so *after it measured anew*: chrony
repeats its last word until its next measurement, minutes later maybe, and knows nothing of a clock set by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel

from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.refusals import Unavailable
from cspd.timekeeping.assessment import objection
from cspd.timekeeping.interfaces import TimeSource
from cspd.timekeeping.leap import LeapSecond, announced
from cspd.timekeeping.reading import Reading, read
from cspd.timekeeping.settings import ClockSettings, LeapRule
from cspd.timekeeping.state import ClockState
from cspd.timekeeping.values import BadClock, LeapStatus, Tracking, TrustedTime

NEVER = datetime.max.replace(tzinfo=UTC)
SUCCEEDED = "GetClockData.Succeeded"
FAILED = "GetClockData.Failed"


@dataclass(frozen=True, slots=True)
class _Trust:
    """A good answer, and how far it carries."""

    lowest: float
    highest: float
    """Between these, in seconds, the difference of wall clock and monotonic clock may lie."""
    expires: float
    """On the monotonic clock."""
    leap: LeapSecond | None
    leap_begins: datetime


@dataclass(frozen=True, slots=True)
class _Measurement:
    """One measurement of the source, and how our clocks stood when we first heard of it."""

    reference_time: datetime | None
    reading: Reading


class ClockMonitor:
    """Implements :class:`cspd.timekeeping.interfaces.TrustedClock`."""

    _log = Logger()

    def __init__(
        self,
        source: TimeSource,
        settings: ClockSettings,
        *,
        reactor: IReactorTime,
        clock: Clock,
        monotonic: Callable[[], float],
        part: str = "tsp-clock",
    ) -> None:
        """``monotonic`` gives seconds that no setting of the wall clock moves (``time.monotonic``; the reactor's are
        not such); ``part`` is the name in :meth:`health`."""
        self._source = source
        self._settings = settings
        self._reactor = reactor
        self._clock = clock
        self._monotonic = monotonic
        self._part = part
        self._max_error = settings.max_error.total_seconds()
        self._trust: _Trust | None = None
        self._reason = "the time source has not answered yet"
        self._measurement: _Measurement | None = None
        self._leap: LeapSecond | None = None
        self._unmeasured_step = False
        self._reference_time_after_step: datetime | None = None
        self._tracking: Tracking | None = None
        self._answered_at = 0.0
        self._succeeded = self._failed = self._steps = 0
        self._waiting: list[Deferred[None]] = []
        self._loop: LoopingCall | None = None
        self._poll_under_way: Deferred[None] | None = None
        self._question: Deferred[Tracking] | None = None

    # The clock

    def now(self) -> TrustedTime:
        """See :class:`cspd.timekeeping.interfaces.TrustedClock`."""
        moment = self._clock.now()
        trust = self._trust
        if trust is not None:
            monotonic = self._monotonic()
            if (
                trust.lowest <= moment.timestamp() - monotonic <= trust.highest
                and monotonic <= trust.expires
                and moment < trust.leap_begins
            ):
                return TrustedTime(moment)
        return self._examined_now()

    def _examined_now(self) -> TrustedTime:
        """The moment, where something is unusual about it."""
        trust = self._trust
        if trust is None:
            raise BadClock(self._reason)
        reading = read(self._clock, self._monotonic)
        if reading.monotonic > trust.expires:
            self._distrust("the time source has not been asked in time")
            self._hurry()
            raise BadClock(self._reason)
        leap, back, forth = trust.leap, 0.0, 0.0
        near_leap = leap is not None and leap.is_near(reading.moment)
        if leap is not None and near_leap:
            if self._settings.leap is LeapRule.REFUSE:
                raise BadClock(f"a leap second is announced for {leap.midnight:%Y-%m-%dT%H:%M:%SZ}")
            back, forth = min(0.0, leap.step), max(0.0, leap.step)
        elif leap is not None and reading.moment >= leap.ends:
            raise BadClock("a leap second has passed, and the time source has not been asked since")
        if reading.highest < trust.lowest + back or reading.lowest > trust.highest + forth:
            self._note_step(reading)
            self._hurry()
            raise BadClock(self._reason)
        return TrustedTime(reading.moment, near_leap)

    async def settled(self) -> None:
        """Wait for the end of the first poll, good or bad, so that a reload refuses nobody; afterwards at once."""
        if not self._succeeded + self._failed:
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            await waiting

    # Polls

    def start(self) -> None:
        """Ask the source now and every poll interval."""
        self._loop = LoopingCall(self._begin_poll)
        self._loop.clock = self._reactor
        self._loop.start(self._settings.poll_interval.total_seconds())

    def stop(self) -> Deferred[None]:
        """Ask no more; fires when a poll that is under way has ended."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        ended: Deferred[None] = Deferred()
        if self._poll_under_way is None:
            ended.callback(None)
        else:
            self._poll_under_way.addCallback(lambda _: ended.callback(None))
        return ended

    def _begin_poll(self) -> Deferred[None]:
        """One poll; the loop waits for it, so that polls never overlap."""
        self._poll_under_way = poll = Deferred.fromCoroutine(self._poll())
        return poll

    def _hurry(self) -> None:
        """Ask again within a poll interval from now, whatever the timers say.

        Timers of the reactor go by the wall clock: after a step backwards they wait until it has caught up.
        """
        if self._question is not None:
            self._question.cancel()
        elif self._loop is not None and self._loop.running:
            self._loop.reset()

    async def _poll(self) -> None:
        reading = read(self._clock, self._monotonic)  # before the question: a step during it shows in now()
        try:
            self._question = self._ask()
            tracking = await self._question
        except Unavailable as error:
            self._fail(error.reason)
        except (DeferredTimeoutError, CancelledError):
            self._fail(f"the time source gave no answer within {self._settings.connect_timeout.total_seconds():g} s")
        except Exception:
            self._log.failure("the time source failed in a way that it does not promise")
            self._fail("the time source failed; the log has the traceback")
        else:
            self._weigh(tracking, reading)
        finally:
            self._question = None
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    def _ask(self) -> Deferred[Tracking]:
        """The source's answer; the source keeps the timeout itself, and this keeps a source that does not."""
        limit = (self._settings.connect_timeout + timedelta(milliseconds=500)).total_seconds()
        return Deferred.fromCoroutine(self._source.tracking()).addTimeout(limit, self._reactor)

    def _fail(self, reason: str) -> None:
        self._failed += 1
        self._distrust(reason)
        self._tell(FAILED, reason=reason)

    def _weigh(self, tracking: Tracking, reading: Reading) -> None:
        """Make an answer the verdict; ``reading`` is of before the question."""
        self._succeeded += 1
        self._tracking = tracking
        self._answered_at = self._monotonic()
        if self._is_amid_leap(tracking, reading):
            self._tell(SUCCEEDED, reason="a leap second is under way")
            return
        self._look_for_step(reading)
        reason = objection(tracking, reading.moment, self._settings) or self._objection_to_step(tracking)
        if self._leap is None or not self._leap.is_near(reading.moment):
            self._leap = announced(tracking.leap, reading.moment)
        if self._measurement is None or self._measurement.reference_time != tracking.reference_time:
            self._measurement = _Measurement(tracking.reference_time, reading)
        if reason is None:
            self._rely_on(tracking, self._measurement.reading)
        else:
            self._distrust(reason)
        self._tell(SUCCEEDED, reason=reason or "")

    def _is_amid_leap(self, tracking: Tracking, reading: Reading) -> bool:
        """Whether the source is out of step only because the leap second that it announced is happening."""
        leap = self._leap
        return leap is not None and leap.is_near(reading.moment) and tracking.leap is LeapStatus.NOT_SYNCHRONISED

    # Verdicts

    def _rely_on(self, tracking: Tracking, measured: Reading) -> None:
        # From the measurement on, not from this poll: what steps the clock took meanwhile, the source does not know.
        back = max(-self._max_error, -self._max_error - tracking.offset)
        forth = min(self._max_error, self._max_error - tracking.offset)
        if self._trust is None:
            self._log.info("the system clock is trusted", event="clock-trusted")
        self._trust = _Trust(
            measured.lowest + back,
            measured.highest + forth,
            self._answered_at + self._settings.expiry.total_seconds(),
            self._leap,
            self._leap.begins if self._leap is not None else NEVER,
        )

    def _distrust(self, reason: str) -> None:
        if self._trust is not None:
            self._log.warn("the system clock is not trusted: {reason}", event="clock-distrusted", reason=reason)
        self._trust, self._reason = None, reason

    # Steps

    def _look_for_step(self, reading: Reading) -> None:
        measured = self._measurement
        if measured is None:
            return
        shift = reading.shift_since(measured.reading)
        leap = self._leap
        if leap is not None and reading.moment >= leap.begins and abs(shift - leap.step) <= self._max_error:
            self._measurement = None  # the announced second: the source knows of it
        elif abs(shift) > self._max_error:
            self._note_step(reading)

    def _note_step(self, reading: Reading) -> None:
        assert self._measurement is not None, "nothing to compare with"
        shift = reading.shift_since(self._measurement.reading)
        self._steps += 1
        self._unmeasured_step, self._reference_time_after_step, self._measurement = True, None, None
        self._distrust(f"the system clock stepped by {shift:+.6f} s")

    def _objection_to_step(self, tracking: Tracking) -> str | None:
        """Whether the source may not know of a step yet; the first answer after it may rest on a measurement before."""
        if not self._unmeasured_step:
            return None
        if self._reference_time_after_step in (None, tracking.reference_time):
            self._reference_time_after_step = tracking.reference_time
            return "the system clock stepped, and the time source has not measured it since"
        self._unmeasured_step = False
        return None

    # What others see

    def _tell(self, outcome: str, *, reason: str) -> None:
        """Log a poll as the filters of the timestamping authority want it (R-TSA-056)."""
        tracking = self._tracking if outcome == SUCCEEDED else None
        offset = tracking.offset if tracking is not None else None
        said = f"offset {offset:+.6f} s" if offset is not None else "no answer"
        self._log.emit(
            LogLevel.info,
            "{msg}: {said}{because}",
            msg=outcome,
            said=said,
            because=f"; {reason}" if reason else "",
            app="clockstatus",
            namespace="tsa",
            event="clock-polled",
            trusted=self._trust is not None,
            reason=reason,
            offset=offset,
            error_bound=tracking.error_bound if tracking is not None else None,
            stratum=tracking.stratum if tracking is not None else None,
            leap=tracking.leap.value if tracking is not None else None,
        )

    @property
    def settings(self) -> ClockSettings:
        """What it was built with."""
        return self._settings

    def state(self) -> ClockState:
        """What is known now; never waits."""
        reason = ""
        try:
            self.now()
        except BadClock as error:
            reason = str(error)
        return ClockState(
            trusted=not reason,
            reason=reason,
            tracking=self._tracking,
            answer_age=self._monotonic() - self._answered_at if self._tracking is not None else None,
            polls_succeeded=self._succeeded,
            polls_failed=self._failed,
            steps=self._steps,
        )

    def health(self) -> Health:
        """FAILED while the clock is bad, DEGRADED while more than half of the tolerated offset is used up."""
        state = self.state()
        if not state.trusted:
            return Health(part=self._part, state=HealthState.FAILED, reason=state.reason)
        if state.tracking is not None and abs(state.tracking.offset) > self._max_error / 2:
            reason = f"the offset is {state.tracking.offset:+.6f} s; {self._max_error:g} s are allowed"
            return Health(part=self._part, state=HealthState.DEGRADED, reason=reason)
        return Health(part=self._part, state=HealthState.OK)
