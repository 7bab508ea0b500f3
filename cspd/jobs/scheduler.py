"""Runs jobs at the moments of their schedules, each moment once over all nodes.

Every node waits for the next moment, then all try to claim it in the store (:mod:`cspd.jobs.leases`); the one that wins
runs the job and renews its lease meanwhile. The others look again at the next moment, or when that lease would end: if
its owner died, one of them takes over and runs the moment again, so that a job must bear being run twice. Moments that
pass while nobody runs (downtime, or a run that takes longer than the period) are made up for by one run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from cspd.clock import Clock
from cspd.jobs import leases
from cspd.jobs.cron import Cron
from cspd.jobs.leases import JobRecord
from cspd.jobs.values import Job, JobHistory
from cspd.refusals import Refused, Unavailable
from cspd.store.interfaces import Database

LEASE = timedelta(seconds=60)
"""How long a node may be silent before another takes its running job over."""
RENEWALS_PER_LEASE = 3
RETRY = timedelta(seconds=10)
"""When to come again after the store did not answer."""
AFTER_LOST_RACE = timedelta(seconds=1)
"""When to look how another node fares that claimed the moment first."""
LONGEST_SLEEP = timedelta(seconds=60)
"""Wall clocks get set; a job looks at the time at least this often. It costs no query."""


class Scheduler:
    """Runs jobs.

    ``owner`` names this process among all that share the store, now and earlier: it needs a random part. The nodes'
    clocks should agree to within some seconds (R-PLAT-068). Stop it before the database.
    """

    def __init__(self, reactor: IReactorTime, clock: Clock, database: Database, owner: str) -> None:
        self._reactor = reactor
        self._clock = clock
        self._database = database
        self._owner = owner
        self._jobs: dict[str, _ScheduledJob] = {}
        self._history: dict[str, JobHistory] = {}
        self._started = False

    def add(self, job: Job) -> None:
        """Schedule a job; raises ValueError for a name that is taken and CronError for a bad schedule."""
        if job.name in self._jobs:
            raise ValueError(f"two jobs are named {job.name}")
        history = self._history.setdefault(job.name, JobHistory())
        scheduled = _ScheduledJob(job, history, self._reactor, self._clock, self._database, self._owner)
        self._jobs[job.name] = scheduled
        if self._started:
            scheduled.start()

    def remove(self, name: str) -> Deferred[None]:
        """Take a job off the schedule; fires when a run that is on has ended. Raises KeyError."""
        return self._jobs.pop(name).stop()

    def start(self) -> None:
        """Begin with all jobs; those whose moment passed since their last run start at once."""
        self._started = True
        for scheduled in self._jobs.values():
            scheduled.start()

    def stop(self) -> Deferred[None]:
        """Start no more runs; fires when those that are on have ended."""
        self._started = False
        ended = DeferredList([scheduled.stop() for scheduled in self._jobs.values()])
        return ended.addCallback(lambda _: None)

    @property
    def history(self) -> dict[str, JobHistory]:
        """What became of the runs of each job that is scheduled; a job that was away meanwhile keeps its history."""
        return {name: self._history[name] for name in self._jobs}


class _ScheduledJob:
    """One job on this node: waits, claims, runs, and again."""

    def __init__(
        self, job: Job, history: JobHistory, reactor: IReactorTime, clock: Clock, database: Database, owner: str
    ) -> None:
        self._job = job
        self._history = history
        self._cron = Cron.parse(job.schedule)
        self._reactor = reactor
        self._clock = clock
        self._database = database
        self._owner = owner
        self._stopping = False
        self._life: Deferred[None] | None = None
        self._sleep: Deferred[None] | None = None
        self._log = Logger()

    def start(self) -> None:
        if self._life is None:
            self._life = Deferred.fromCoroutine(self._live())

    def stop(self) -> Deferred[None]:
        self._stopping = True
        if self._sleep is not None:
            self._sleep.cancel()
        ended: Deferred[None] = Deferred()
        if self._life is None:
            ended.callback(None)
        else:
            self._life.addBoth(lambda _: ended.callback(None))
        return ended

    async def _live(self) -> None:
        while not self._stopping:
            try:
                wake = await self._turn()
            except Unavailable as error:
                self._log.warn("job {job} waits for the store: {detail}", job=self._job.name, detail=error.detail)
                wake = self._clock.now() + RETRY
            except Exception:
                self._log.failure("job {job}: its schedule failed", job=self._job.name)
                wake = self._clock.now() + RETRY
            await self._sleep_until(wake)

    async def _turn(self) -> datetime:
        """Run the job if it is due and nobody else does; say when to look again."""
        seen = await self._database.write(
            lambda connection: leases.find_or_create(connection, self._job.name, self._clock.now())
        )
        now = self._clock.now()
        if seen.is_held(now):
            assert seen.lease_until is not None
            return min(seen.lease_until, self._cron.next_after(now))
        due = self._due(seen, now)
        if due > now:
            return due
        if self._stopping or not await self._claim(seen, due, now):
            return now + AFTER_LOST_RACE
        await self._run(due)
        return self._cron.next_after(due)

    def _due(self, seen: JobRecord, now: datetime) -> datetime:
        """The moment to run next: of several that have passed, one run stands for all."""
        due = seen.last_due if seen.was_abandoned else self._cron.next_after(seen.last_due)
        return due if due > now or self._cron.next_after(due) > now else now

    async def _claim(self, seen: JobRecord, due: datetime, now: datetime) -> bool:
        return await self._database.write(
            lambda connection: leases.claim(connection, seen, owner=self._owner, due=due, now=now, until=now + LEASE)
        )

    async def _run(self, due: datetime) -> None:
        """Run the job under the lease; whatever it raises ends here."""
        work = Deferred.fromCoroutine(self._work())
        keeper = _LeaseKeeper(self._job.name, work, self._reactor, self._clock, self._database, self._owner)
        keeper.start()
        try:
            await work
            outcome = "success"
            self._history.last_success = self._clock.now()
            self._history.last_run_failed = False
        except Exception as error:
            self._history.failures += 1
            self._history.last_failure = self._clock.now()
            self._history.last_run_failed = True
            outcome = f"failed: {type(error).__name__}"
            self._say_why(error, due)
        self._history.runs += 1
        # Not in a finally: a coroutine that is thrown away (GeneratorExit) must not wait for anything any more.
        await keeper.stop()
        await self._release(outcome)

    def _say_why(self, error: Exception, due: datetime) -> None:
        """What a token or a store refused is told in a line; what nobody foresaw, with its stack."""
        refusals, unforeseen = ExceptionGroup("", [error]).split(Refused)
        for refused in _leaves(refusals):
            why = f"{refused} ({refused.detail})" if isinstance(refused, Refused) and refused.detail else str(refused)
            self._log.error("job {job} failed, due {due}: {why}", job=self._job.name, due=due.isoformat(), why=why)
        if unforeseen is not None:
            self._log.failure("job {job} failed, due {due}", job=self._job.name, due=due.isoformat())

    async def _release(self, outcome: str) -> None:
        """Give the lease back. Without that the run counts as not ended, so it is worth trying for long."""
        while True:
            try:
                await self._database.write(
                    lambda connection: leases.release(
                        connection, self._job.name, owner=self._owner, now=self._clock.now(), outcome=outcome
                    )
                )
            except Unavailable:
                if self._stopping:
                    raise
                await self._sleep_until(self._clock.now() + RETRY)
            else:
                return

    async def _work(self) -> None:
        await self._job.run()

    async def _sleep_until(self, wake: datetime) -> None:
        """Wait until the wall clock shows ``wake``, or until :meth:`stop`."""
        while not self._stopping and (left := wake - self._clock.now()) > timedelta(0):
            self._sleep = deferLater(self._reactor, min(left, LONGEST_SLEEP).total_seconds())
            try:
                await self._sleep
            except CancelledError:
                return
            finally:
                self._sleep = None


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    """The exceptions of a group and of the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif error is not None:
        yield error


class _LeaseKeeper:
    """Renews the lease of a running job; ends the job when another node has taken the lease over."""

    def __init__(
        self,
        name: str,
        work: Deferred[None],
        reactor: IReactorTime,
        clock: Clock,
        database: Database,
        owner: str,
    ) -> None:
        self._name = name
        self._work = work
        self._reactor = reactor
        self._clock = clock
        self._database = database
        self._owner = owner
        self._stopping = False
        self._sleep: Deferred[None] | None = None
        self._life: Deferred[None] | None = None
        self._log = Logger()

    def start(self) -> None:
        self._life = Deferred.fromCoroutine(self._live())

    async def stop(self) -> None:
        self._stopping = True
        if self._sleep is not None:
            self._sleep.cancel()
        if self._life is not None:
            await self._life

    async def _live(self) -> None:
        while not self._stopping:
            self._sleep = deferLater(self._reactor, (LEASE / RENEWALS_PER_LEASE).total_seconds())
            try:
                await self._sleep
            except CancelledError:
                return
            finally:
                self._sleep = None
            try:
                kept = await self._database.write(
                    lambda connection: leases.renew(
                        connection, self._name, owner=self._owner, until=self._clock.now() + LEASE
                    )
                )
            except Unavailable:
                continue  # the lease may survive a short outage; nobody can take it over meanwhile either
            if not kept and not self._stopping:
                self._log.error("job {job} is ended: another node took it over", job=self._name)
                self._work.cancel()
                return
