"""The half of the daemon that lives from start to exit: store, keys, authorities, jobs.

A reload builds protocols and listeners anew upon it; :func:`needs_restart` tells what of the configuration it cannot
take in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL

from cspd.audit.chain import HashChain
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.approvals import Approvals, expiry_job
from cspd.authority.certificates import Certificates
from cspd.authority.crl_issuing import CRLIssuer
from cspd.authority.interfaces import Issuance
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.profile_values import Profile
from cspd.authority.publication import CRLPublication
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.revocation import RevocationService
from cspd.authority.status import StatusService
from cspd.authority.urls import StatusURLs
from cspd.authority.values import StatusChange
from cspd.clock import Clock
from cspd.config.model import RootConfig
from cspd.config.problems import KeyPath
from cspd.config.secrets import Secrets
from cspd.jobs.values import Job
from cspd.keys.encryption import MasterKey
from cspd.keys.opening import open_keys
from cspd.keys.pkcs11.modules import Modules
from cspd.keys.service import KeyService
from cspd.monitoring.assembly import Monitoring, build_monitoring
from cspd.store.config import StoreConfig
from cspd.store.interfaces import Database
from cspd.turns import EndOfTurn

_OWN = ("store", "keys", "admin")
_OWN_OF_SERVER = ("mode", "hostname", "node", "public_http", "state", "umask", "uid", "gid")


def needs_restart(old: RootConfig, new: RootConfig) -> Iterator[KeyPath]:
    """The keys whose change only a restart can apply."""
    for name in _OWN:
        if getattr(old, name) != getattr(new, name):
            yield (name,)
    for name in _OWN_OF_SERVER:
        if getattr(old.server, name) != getattr(new.server, name):
            yield ("server", name)


def store_url(store: StoreConfig, state: Path, secrets: Secrets) -> URL:
    """The URL of the database; a relative SQLite path starts at the state folder.

    Raises :class:`cspd.config.secrets.SecretUnavailable`.
    """
    password = None if store.password is None else secrets.resolve(store.password).decode("utf-8")
    url = store.engine_url(password)
    if url.get_backend_name() == "sqlite":
        assert url.database is not None
        return url.set(database=str(state / url.database))
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The services that every protocol uses."""

    reactor: Any
    end_of_turn: EndOfTurn
    clock: Clock
    random: Random
    database: Database
    keys: KeyService
    audit: HashChain
    authorities: AuthorityRegistry
    status: StatusService
    revocation: RevocationService
    publication: CRLPublication
    certificates: Certificates
    urls: StatusURLs
    monitoring: Monitoring
    enrollment_secrets: EnrollmentSecrets
    process: str
    """Names this process in leases, unlike any other that shares the store, now or earlier."""
    _pipelines: WeakSet[IssuancePipeline] = field(default_factory=WeakSet, init=False)

    def issuance(self, profiles: Mapping[str, Profile]) -> IssuancePipeline:
        """The pipeline for these profiles; a reload makes a new one."""
        pipeline = IssuancePipeline(
            clock=self.clock,
            random=self.random,
            database=self.database,
            keys=self.keys,
            authorities=self.authorities,
            profiles=profiles,
            audit=self.audit,
            urls=self.urls,
            after_issue=self.monitoring.issued.note,
        )
        self._pipelines.add(pipeline)
        return pipeline

    def approvals(self, issuance: Issuance) -> Approvals:
        """Requests that wait for an administrator; that pipeline issues what is approved."""
        return Approvals(
            clock=self.clock,
            random=self.random,
            database=self.database,
            authorities=self.authorities,
            certificates=self.certificates,
            issuance=issuance,
            audit=self.audit,
        )

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs of the core itself."""
        return (*self.publication.jobs(), expiry_job(self.clock, self.database), *self.enrollment_secrets.jobs())

    async def start(self) -> None:
        """Log in to the tokens, read the CAs, follow what other nodes change; raises what prevents it."""
        await self.keys.start()
        await self.authorities.refresh()
        self.authorities.start()
        self.status.start()
        self.publication.start()

    async def stop(self) -> None:
        """Stop in the opposite order; what was begun is finished."""
        for pipeline in tuple(self._pipelines):  # a signature that was begun is recorded, also when its client has gone
            await pipeline.drain()
        await self.publication.stop()
        self.status.stop()
        self.authorities.stop()
        await self.keys.stop()


def build_core(
    root: RootConfig,
    *,
    secrets: Secrets,
    database: Database,
    reactor: Any,
    clock: Clock,
    random: Random,
    call_from_thread: Callable[[Callable[[], Any]], Any] | None,
) -> Core:
    """Build the services; does no I/O but reading secrets. ``call_from_thread`` None: work at once, without a reactor.

    Raises ValueError for a secret that cannot be had or is too weak.
    """
    end_of_turn = EndOfTurn(reactor.callLater)
    keys = open_keys(
        root.keys,
        database=database,
        clock=clock,
        secret=secrets.resolve,
        modules=Modules(),
        call_from_thread=call_from_thread,
        end_of_turn=end_of_turn,
    )
    audit = HashChain(database, clock, root.server.node_name)
    authorities = AuthorityRegistry(database, reactor)
    status = StatusService(clock=clock, database=database, reactor=reactor)
    urls = StatusURLs(root.server.http_url)
    publication = CRLPublication(
        clock=clock,
        reactor=reactor,
        database=database,
        authorities=authorities,
        issuer=CRLIssuer(clock=clock, database=database, keys=keys, audit=audit, urls=urls),
    )

    def after_change(change: StatusChange) -> None:
        status.note(change)
        publication.certificate_changed(change)

    revocation = RevocationService(
        clock=clock, database=database, authorities=authorities, audit=audit, after_change=after_change
    )
    return Core(
        reactor=reactor,
        end_of_turn=end_of_turn,
        clock=clock,
        random=random,
        database=database,
        keys=keys,
        audit=audit,
        authorities=authorities,
        status=status,
        revocation=revocation,
        publication=publication,
        certificates=Certificates(database),
        urls=urls,
        monitoring=build_monitoring(
            reactor=reactor, clock=clock, database=database, keys=keys, authorities=authorities
        ),
        enrollment_secrets=EnrollmentSecrets(
            clock=clock, random=random, database=database, audit=audit, master_key=_master_key(root, secrets, random)
        ),
        process=f"{root.server.node_name}-{os.getpid()}-{random.randbytes(3).hex()}",  # 64 characters at most
    )


def _master_key(root: RootConfig, secrets: Secrets, random: Random) -> MasterKey | None:
    software = root.keys.software
    return None if software is None else MasterKey(secrets.resolve(software.master_key), random.randbytes)
