"""What is known about a serial number, from memory where it can be.

Memory holds what was asked lately. It follows ``status_changes``, so that a revocation shows at once in the process
that made it and within a second in all others. Unknown serials are not kept: a certificate is good the moment it is
issued.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta

from sqlalchemy import Connection, bindparam, select

from cspd.authority.change_feed import BATCH, SequenceFollower, last_sequence, read_changes, status_of
from cspd.authority.polling import Polling, Timers
from cspd.authority.values import CertificateState, CertificateStatus, StatusChange
from cspd.clock import Clock
from cspd.store.interfaces import Database
from cspd.store.tables import certificates

POLL_SECONDS = 0.5  # with the time of the query well below the second that a revocation may stay unseen
CAPACITY = 100_000  # about 300 bytes each
STALE_AFTER = timedelta(minutes=10)

_LASTING = frozenset({CertificateState.GOOD, CertificateState.HELD, CertificateState.REVOKED})


class StatusService:
    """Implements :class:`cspd.authority.interfaces.Status`.

    When the database cannot be reached, what memory holds is answered for ``stale_after`` more: a relying party is
    better off with a status of some minutes ago than without. ``reactor`` gives the timers only.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        reactor: Timers,
        capacity: int = CAPACITY,
        interval: float = POLL_SECONDS,
        stale_after: timedelta = STALE_AFTER,
    ) -> None:
        self._clock = clock
        self._database = database
        self._capacity = capacity
        self._stale_after = stale_after
        self._memory: OrderedDict[tuple[str, int], CertificateStatus] = OrderedDict()
        self._version = 0
        self._follower: SequenceFollower | None = None
        self._fresh_until = clock.now()
        self._polling = Polling(reactor, self._poll, interval=interval, what="the changes of certificate states")

    def start(self) -> None:
        """Follow the changes of all nodes; memory is not used before the first look at them."""
        self._polling.start()

    def stop(self) -> None:
        """Follow no longer; memory is used until it is stale."""
        self._polling.stop()

    @property
    def version(self) -> int:
        """See :class:`cspd.authority.interfaces.Status`."""
        return self._version

    def cached(self, authority_id: str, serial: int) -> CertificateStatus | None:
        """See :class:`cspd.authority.interfaces.Status`."""
        key = (authority_id, serial)
        status = self._memory.get(key)
        if status is None or self._clock.now() >= self._fresh_until:
            return None
        self._memory.move_to_end(key)
        return status

    async def status(self, authority_id: str, serial: int) -> CertificateStatus | None:
        """See :class:`cspd.authority.interfaces.Status`."""
        if (status := self.cached(authority_id, serial)) is not None:
            return status
        if not 0 <= serial < 1 << 160:  # longer than any that we issue (RFC 5280, 4.1.2.2)
            return None
        version, follower = self._version, self._follower
        status = await self._database.read(lambda connection: _read_status(connection, authority_id, serial))
        # A change that was heard of during the read may be newer than what was read.
        if status is not None and status.state in _LASTING and version == self._version and follower is not None:
            self._remember((authority_id, serial), status)
        return status

    def note(self, change: StatusChange) -> None:
        """A change that this process made; call it when the change is durable (``RevocationService.after_change``)."""
        self._version += 1
        key = (change.authority_id, change.serial)
        if key in self._memory:
            self._memory[key] = change.status

    def _remember(self, key: tuple[str, int], status: CertificateStatus) -> None:
        self._memory[key] = status
        self._memory.move_to_end(key)
        if len(self._memory) > self._capacity:
            self._memory.popitem(last=False)

    async def _poll(self) -> None:
        if self._follower is None:
            self._follower = SequenceFollower(await self._database.read(last_sequence), self._clock.now())
            self._memory.clear()
        asked_at = self._clock.now()
        while await self._read_batch(self._follower) >= BATCH:
            pass
        self._fresh_until = asked_at + self._stale_after

    async def _read_batch(self, follower: SequenceFollower) -> int:
        """Take note of the next changes; gives how many were read."""
        changes = await self._database.read(
            lambda connection: read_changes(connection, follower.highest, follower.missing)
        )
        unseen = follower.unseen((each.sequence for each in changes), self._clock.now())
        for each in changes:
            if each.sequence in unseen:
                self.note(each.change)
        return len(changes)


_STATUS = select(certificates.c.state, certificates.c.revoked_at, certificates.c.revocation_reason).where(
    certificates.c.authority_id == bindparam("of_authority"), certificates.c.serial == bindparam("of_serial")
)


def _read_status(connection: Connection, authority_id: str, serial: int) -> CertificateStatus | None:
    row = connection.execute(_STATUS, {"of_authority": authority_id, "of_serial": serial}).one_or_none()
    return None if row is None else status_of(row.state, row.revoked_at, row.revocation_reason)
