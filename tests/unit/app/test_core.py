"""The half of the daemon that lives from start to exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.crl_issuing import CRLIssuer
from cspd.authority.publication import CRLPublication
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.revocation import RevocationService
from cspd.authority.status import StatusService
from cspd.daemon.core import Core
from cspd.monitoring.assembly import build_monitoring
from cspd.store.tables import certificates
from cspd.turns import EndOfTurn
from tests.support.issuing import URLS, House, shipped_profiles
from tests.support.running import result_of


class HeldKeys:
    """The house's keys; signatures wait until :attr:`go` fires. Stops like the key service."""

    def __init__(self, house: House, diary: list[str]) -> None:
        self._keys = house.keys
        self._diary = diary
        self.go: Deferred[None] = Deferred()

    async def sign(self, reference: Any, work: Callable[[Any], Any]) -> Any:
        await self.go
        return await self._keys.sign(reference, work)

    async def stop(self) -> None:
        self._diary.append("keys stopped")


def core_of(house: House, keys: Any) -> Core:
    registry = AuthorityRegistry(house.database, Clock())
    issuer = CRLIssuer(clock=house.clock, database=house.database, keys=keys, audit=house.audit, urls=URLS)
    return Core(
        reactor=Clock(),
        end_of_turn=EndOfTurn(Clock().callLater),
        clock=house.clock,
        random=house.random,
        database=house.database,
        keys=keys,
        audit=house.audit,  # type: ignore[arg-type]  # the interface, not the chain
        authorities=house.authorities,  # type: ignore[arg-type]  # stopped by nobody here
        status=StatusService(clock=house.clock, database=house.database, reactor=Clock()),
        revocation=RevocationService(
            clock=house.clock, database=house.database, authorities=registry, audit=house.audit, after_change=print
        ),
        publication=CRLPublication(
            clock=house.clock, reactor=Clock(), database=house.database, authorities=registry, issuer=issuer
        ),
        certificates=None,  # type: ignore[arg-type]  # not asked
        urls=URLS,
        monitoring=build_monitoring(
            reactor=Clock(), clock=house.clock, database=house.database, keys=keys, authorities=registry
        ),
        enrollment_secrets=EnrollmentSecrets(
            clock=house.clock, random=house.random, database=house.database, audit=house.audit, master_key=None
        ),
        process="node-1",
    )


def test_stop_waits_for_a_signature_whose_client_has_gone() -> None:
    """What was begun is recorded before the keys and the store go away."""
    house, diary = House(), []
    keys = HeldKeys(house, diary)
    house.authorities.stop = lambda: None  # type: ignore[attr-defined]
    core = core_of(house, keys)
    count = select(func.count()).select_from(certificates)

    def recorded() -> int:
        return result_of(house.database.read(lambda connection: connection.execute(count).scalar_one()))

    before = recorded()
    pipeline = core.issuance(shipped_profiles())
    client = Deferred.fromCoroutine(pipeline.enroll(house.request()))
    client.addErrback(lambda _: None)
    client.cancel()
    stopped = Deferred.fromCoroutine(core.stop())
    stopped.addCallback(lambda _: diary.append("core stopped"))
    assert (diary, recorded()) == ([], before)
    keys.go.callback(None)
    assert (diary, recorded()) == (["keys stopped", "core stopped"], before + 1)
