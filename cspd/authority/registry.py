"""The CAs of this installation, in memory.

Every service asks the registry at every request, so that it answers without waiting. It reads all CAs again after a
change of this node (:meth:`AuthorityRegistry.refresh`) and when another node changed one, which a poll of one number
shows within a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from cspd.authority.polling import Polling, Timers
from cspd.authority.rows import read_authorities, read_revision
from cspd.authority.values import Authority, CAReference
from cspd.refusals import NotFound
from cspd.store.interfaces import Database

POLL_SECONDS = 0.5  # with the time of the query well below the second that Authorities promises


@dataclass(frozen=True, slots=True)
class _Snapshot:
    revision: int = -1
    by_reference: Mapping[CAReference, Authority] = field(default_factory=dict)
    by_id: Mapping[str, Authority] = field(default_factory=dict)


class AuthorityRegistry:
    """Implements :class:`cspd.authority.interfaces.Authorities`; ``reactor`` gives the timers only."""

    def __init__(self, database: Database, reactor: Timers, *, interval: float = POLL_SECONDS) -> None:
        self._database = database
        self._snapshot = _Snapshot()
        self._polling = Polling(reactor, self._poll, interval=interval, what="the certification authorities")

    def start(self) -> None:
        """Follow the changes of other nodes."""
        self._polling.start()

    def stop(self) -> None:
        """Follow no longer; what is known stays."""
        self._polling.stop()

    async def get(self, reference: CAReference) -> Authority:
        """See :class:`cspd.authority.interfaces.Authorities`."""
        authority = (await self._current()).by_reference.get(reference)
        if authority is None:
            raise NotFound(f"no CA {reference}")
        return authority

    async def by_id(self, authority_id: str) -> Authority:
        """See :class:`cspd.authority.interfaces.Authorities`."""
        authority = (await self._current()).by_id.get(authority_id)
        if authority is None:
            raise NotFound(f"no CA with the id {authority_id}")
        return authority

    async def list(self, organization: str | None = None) -> Sequence[Authority]:
        """See :class:`cspd.authority.interfaces.Authorities`; ordered by organization and CA id."""
        return tuple(
            authority
            for reference, authority in (await self._current()).by_reference.items()
            if organization is None or reference.organization == organization
        )

    async def refresh(self) -> None:
        """Read all CAs again; whoever changed one calls this before answering."""
        parsed = {
            authority.certificate_id: authority.certificate
            for authority in self._snapshot.by_id.values()
            if authority.certificate_id is not None and authority.certificate is not None
        }

        def work(connection: Connection) -> _Snapshot:
            # the number first: a change between the two queries is then read again by the next poll
            revision = read_revision(connection)
            found = sorted(
                read_authorities(connection, parsed=parsed),
                key=lambda each: (each.reference.organization, each.reference.ca_id),
            )
            return _Snapshot(revision, {each.reference: each for each in found}, {each.id: each for each in found})

        snapshot = await self._database.read(work)
        if snapshot.revision >= self._snapshot.revision:  # readers may answer out of turn
            self._snapshot = snapshot

    async def _current(self) -> _Snapshot:
        if self._snapshot.revision < 0:
            await self.refresh()
        return self._snapshot

    async def _poll(self) -> None:
        if await self._database.read(read_revision) != self._snapshot.revision:
            await self.refresh()
