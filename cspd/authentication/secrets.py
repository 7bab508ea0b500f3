"""Enrollment secrets: shared secrets and one-time passwords that administrators make for clients.

::

    administrator: create(purpose, ca, profile, identity, ...)  -> reference number and secret, shown once
    client sends a password:   check(purpose, reference, secret)
    client sends a MAC (CMP):  find(purpose, reference), then failed(reference) if the MAC is wrong
    the certificate:           Issuance.enroll(request, recorded=secrets.use(found))

``use`` runs in the transaction that stores the certificate: a one-time secret that two clients use at the same time
gives one certificate. Secrets are kept encrypted with the master key of the software keys: a MAC needs them again.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from random import Random
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.approvals import KeptWith
from cspd.authority.interfaces import Recorded
from cspd.authority.values import CAReference, Requester
from cspd.clock import Clock
from cspd.jobs.values import Job
from cspd.keys.encryption import DamagedKey, MasterKey, WrongMasterKey
from cspd.refusals import Conflict, Forbidden, LimitExceeded, Malformed, NotFound, Unauthorized, Unavailable
from cspd.store.interfaces import Database
from cspd.store.tables import enrollment_secrets as table

NOT_PROVED = "unknown reference number, or wrong secret"
"""Also for a secret that is used, revoked, locked or expired: only who has it may learn that it once was right."""
# Built once: each enrollment by a secret runs them.
_FIND = select(table).where(table.c.reference == bindparam("of_reference"))
_USE = update(table).where(
    table.c.reference == bindparam("of_reference"), table.c.revoked_at.is_(None), table.c.failures < table.c.tries
)
_USE_ONCE = _USE.where(table.c.used_at.is_(None))
DEFAULT_TRIES = 10
MAX_REFERENCE = 64
MAX_SECRET = 1024
"""Characters that are looked at."""
MIN_GIVEN_SECRET = 8
"""Characters of a secret made elsewhere. Who has seen a message with a MAC can try secrets as fast as he can compute;
those that we make have 120 random bits."""
_REFERENCE = re.compile(rf"[!-~]{{1,{MAX_REFERENCE}}}")


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A secret that was made elsewhere: by the vendor of a device, or another product. Raises Malformed."""

    reference: str
    """1 to 64 printable ASCII characters without space."""
    secret: str = field(repr=False)
    """8 to 1024 characters on one line."""

    def __post_init__(self) -> None:
        if not _REFERENCE.fullmatch(self.reference):
            raise Malformed(f"a reference number has 1 to {MAX_REFERENCE} printable ASCII characters without space")
        if not MIN_GIVEN_SECRET <= len(self.secret) <= MAX_SECRET or not self.secret.isprintable():
            raise Malformed(f"a secret has {MIN_GIVEN_SECRET} to {MAX_SECRET} printable characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentSecret:
    """What an administrator said of a secret; the secret itself is not in it."""

    reference: str
    """Names it: 16 letters and digits, or what was given."""
    purpose: str
    """The protocol that takes it: ``est``, ``cmp``, ``scep``."""
    identity: str
    """Whom it was made for."""
    ca: str | None
    """``organization~ca-id``; None for any."""
    profile: str | None
    one_time: bool
    tries: int
    failures: int
    created_by: str
    created_at: datetime
    expires_at: datetime
    names: tuple[str, ...] | None = None
    """What requests may name; None for anything."""
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def state(self) -> str:
        """``usable``, ``used``, ``locked`` or ``revoked``; expiry is read off ``expires_at``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.failures >= self.tries:
            return "locked"
        return "used" if self.one_time and self.used_at is not None else "usable"

    def require(self, ca: CAReference, profile: str, names: Collection[str] = ()) -> None:
        """Raise Forbidden unless the secret is for this CA and profile, and for all ``names`` of the request.

        A protocol that does not give them takes no secret that is for certain names; upper and lower case are one.
        """
        if self.ca not in (None, str(ca)) or self.profile not in (None, profile):
            raise Forbidden("the secret is for another CA or profile", code="secret-elsewhere")
        if self.names is not None:
            allowed = {name.casefold() for name in self.names}
            if not names or not allowed.issuperset(name.casefold() for name in names):
                raise Forbidden("the secret is for a request with other names", code="secret-elsewhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret that was just made; nothing gives ``secret`` to an administrator again."""

    terms: EnrollmentSecret
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSecret:
    """A usable secret, for a protocol that verifies a MAC."""

    terms: EnrollmentSecret
    secret: bytes = field(repr=False)


KeptSecret = Row[Any]
"""A secret as the store has it: usable or not, and encrypted."""


class EnrollmentSecrets:
    """Makes, finds and uses up enrollment secrets."""

    def __init__(
        self, *, clock: Clock, random: Random, database: Database, audit: AuditLog, master_key: MasterKey | None
    ) -> None:
        """``random`` is cryptographically strong; ``master_key`` is that of ``[keys.software]``, None without it."""
        self._clock = clock
        self._random = random
        self._database = database
        self._audit = audit
        self._master_key = master_key

    async def create(
        self,
        *,
        purpose: str,
        identity: str,
        lifetime: timedelta,
        by: Requester,
        ca: CAReference | None = None,
        profile: str | None = None,
        names: Sequence[str] | None = None,
        one_time: bool = True,
        tries: int = DEFAULT_TRIES,
        given: GivenSecret | None = None,
        max_usable: int | None = None,
    ) -> NewSecret:
        """Make a secret of 120 random bits, or keep the ``given`` one.

        Raises Conflict without a master key, and, with code ``secret-exists``, for a reference that is taken;
        LimitExceeded if ``by`` has made ``max_usable`` already that are still usable for the purpose, CA and profile.
        Nodes that make some at the same moment may exceed it by one each.
        """
        master_key = self._master_key
        if master_key is None:
            raise Conflict(
                "enrollment secrets are encrypted with the master key of [keys.software], and conf has none",
                code="no-master-key",
            )
        now = self._clock.now()
        terms = EnrollmentSecret(
            reference=_letters(self._random.randbytes(10)) if given is None else given.reference,
            purpose=purpose,
            identity=identity,
            ca=None if ca is None else str(ca),
            profile=profile,
            names=None if names is None else tuple(names),
            one_time=one_time,
            tries=tries,
            failures=0,
            created_by=f"{by.protocol}:{by.identity}",
            created_at=now,
            expires_at=now + lifetime,
        )
        secret = _letters(self._random.randbytes(15)) if given is None else given.secret
        row = {name: getattr(terms, name) for name in _COLUMNS}
        row["encrypted_secret"] = master_key.seal(secret.encode(), _bound_to(terms))
        event = self._event("created", terms, terms.created_by)

        def store(connection: Connection) -> None:
            taken = Conflict(f"there is an enrollment secret {terms.reference!r} already", code="secret-exists")
            same = select(table.c.reference).where(table.c.reference == terms.reference)
            if connection.execute(same).first() is not None:
                raise taken
            if max_usable is not None and _count_usable(connection, terms) >= max_usable:
                raise LimitExceeded(f"{max_usable} secrets that were made wait to be used", code="too-many-secrets")
            try:
                connection.execute(insert(table), row)
            except IntegrityError as error:  # another node was faster
                raise taken from error
            self._audit.append(connection, event)

        await self._database.write(store)
        return NewSecret(terms=terms, secret=secret)

    async def find(self, purpose: str, reference: str, *, even_used: bool = False) -> FoundSecret:
        """The usable secret of that reference; raises Unauthorized, and Unavailable if it cannot be decrypted.

        ``even_used`` finds a one-time secret that was used too: for a client that goes on with what it used it for, or
        asks for that again. It is not to be used again, and :meth:`use` and :meth:`use_for_request` see to that.
        """
        kept = await self._database.read(lambda connection: look_up(connection, reference))
        return self.open(kept, purpose, even_used=even_used)

    def open(self, kept: KeptSecret | None, purpose: str, *, even_used: bool = False) -> FoundSecret:
        """As :meth:`find`, for who has looked it up himself, with other things."""
        if kept is None:
            raise Unauthorized(NOT_PROVED)
        terms = _terms(kept)
        counts = terms.state == "usable" or (even_used and terms.state == "used")
        if terms.purpose != purpose or not counts or terms.expires_at <= self._clock.now():
            raise Unauthorized(NOT_PROVED, detail=f"enrollment secret {terms.reference} is {terms.state}")
        if self._master_key is None:
            raise Unavailable("enrollment secrets cannot be read", detail="conf has no [keys.software]")
        try:
            secret = self._master_key.open(kept.encrypted_secret, _bound_to(terms))
        except (DamagedKey, WrongMasterKey) as error:
            raise Unavailable("enrollment secrets cannot be read", detail=str(error)) from error
        return FoundSecret(terms=terms, secret=secret)

    async def check(self, purpose: str, reference: str, secret: str, *, even_used: bool = False) -> EnrollmentSecret:
        """The terms of a secret that somebody sent; a wrong one is counted. Raises as :meth:`find`."""
        given = sha256(secret[:MAX_SECRET].encode("utf-8", "surrogatepass")).digest()
        found = await self.find(purpose, reference, even_used=even_used)
        if not compare_digest(given, sha256(found.secret).digest()):
            await self.failed(found.terms.reference)
            raise Unauthorized(NOT_PROVED)
        return found.terms

    async def failed(self, reference: str) -> None:
        """Count a wrong password or MAC; the secret is locked at its last try."""

        def count(connection: Connection) -> None:
            changed = connection.execute(
                update(table)
                .where(table.c.reference == reference, table.c.failures < table.c.tries)
                .values(failures=table.c.failures + 1)
            )
            if changed.rowcount == 1:
                terms = _terms(connection.execute(select(table).where(table.c.reference == reference)).one())
                if terms.failures >= terms.tries:
                    event = self._event("locked", terms, terms.purpose, Outcome.REFUSED)
                    self._audit.append(connection, event)

        await self._database.write(count)

    def use(self, secret: EnrollmentSecret) -> Recorded:
        """For ``recorded`` of :class:`cspd.authority.interfaces.Issuance`: note the use with the certificate.

        Raises Conflict, code ``secret-used``, in the transaction if a one-time secret was used, or it was revoked.
        """

        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            self._use(connection, secret, authority_id=authority_id, serial=serial)

        return recorded

    def use_for_request(self, secret: EnrollmentSecret) -> KeptWith:
        """For ``kept_with`` of :class:`cspd.authority.approvals.Approvals`: note the use with a request that waits.

        Raises as :meth:`use`. A denied request does not give the secret back.
        """

        def kept(connection: Connection, request_id: str) -> None:
            self._use(connection, secret)

        return kept

    def _use(self, connection: Connection, secret: EnrollmentSecret, **certificate: str | int) -> None:
        use = _USE_ONCE if secret.one_time else _USE
        changed = connection.execute(
            use, {"of_reference": secret.reference, "used_at": self._clock.now(), **certificate}
        )
        if changed.rowcount != 1:
            raise Conflict("the secret cannot be used any more", code="secret-used")

    async def list(self, *, purpose: str | None = None, limit: int = 100) -> Sequence[EnrollmentSecret]:
        """Those that have not expired, the oldest first."""
        query = select(table).where(table.c.expires_at > self._clock.now())
        if purpose is not None:
            query = query.where(table.c.purpose == purpose)
        query = query.order_by(table.c.created_at, table.c.reference).limit(limit)
        return await self._database.read(lambda connection: [_terms(row) for row in connection.execute(query)])

    async def revoke(self, reference: str, by: Requester) -> EnrollmentSecret:
        """Make a secret useless; raises NotFound, Conflict if it was revoked before."""
        now = self._clock.now()

        def revoke(connection: Connection) -> EnrollmentSecret:
            row = connection.execute(select(table).where(table.c.reference == reference)).first()
            if row is None:
                raise NotFound(f"there is no enrollment secret {reference[:MAX_REFERENCE]!r}", code="no-such-secret")
            changed = connection.execute(
                update(table).where(table.c.reference == reference, table.c.revoked_at.is_(None)).values(revoked_at=now)
            )
            if changed.rowcount != 1:
                raise Conflict("the enrollment secret was revoked before", code="secret-revoked")
            terms = _terms(row)
            self._audit.append(connection, self._event("revoked", terms, f"{by.protocol}:{by.identity}"))
            return terms

        return await self._database.write(revoke)

    def jobs(self) -> Sequence[Job]:
        """Deletes the secrets whose time is over."""

        async def expire() -> None:
            gone = delete(table).where(table.c.expires_at <= self._clock.now())
            await self._database.write(lambda connection: connection.execute(gone).rowcount)

        return (Job(name="enrollment-secrets-expire", schedule="0 43 * * * *", run=expire),)

    def _event(self, what: str, terms: EnrollmentSecret, actor: str, outcome: Outcome = Outcome.SUCCESS) -> AuditEvent:
        fields: dict[str, str | int | bool | None] = {
            "reference": terms.reference,
            "purpose": terms.purpose,
            "identity": terms.identity,
            "ca": terms.ca,
            "profile": terms.profile,
            "names": None if terms.names is None else " ".join(terms.names),
        }
        return AuditEvent(event=f"enrollment-secret-{what}", actor=actor, outcome=outcome, fields=fields)


def look_up(connection: Connection, reference: str) -> KeptSecret | None:
    """What is kept under that reference, which may be any text; for :meth:`EnrollmentSecrets.open`."""
    if len(reference) > MAX_REFERENCE or not reference.isascii() or "\0" in reference:
        return None
    return connection.execute(_FIND, {"of_reference": reference}).first()


_COLUMNS = tuple(EnrollmentSecret.__dataclass_fields__)


def _terms(row: Row[Any]) -> EnrollmentSecret:
    values = {name: getattr(row, name) for name in _COLUMNS}
    names = values.pop("names")
    return EnrollmentSecret(names=None if names is None else tuple(names), **values)


def _count_usable(connection: Connection, like: EnrollmentSecret) -> int:
    """How many usable ones the same maker has for the same."""
    counted = select(func.count()).where(
        table.c.created_by == like.created_by,
        table.c.purpose == like.purpose,
        table.c.ca.is_(None) if like.ca is None else table.c.ca == like.ca,
        table.c.profile.is_(None) if like.profile is None else table.c.profile == like.profile,
        table.c.expires_at > like.created_at,
        table.c.revoked_at.is_(None),
        table.c.failures < table.c.tries,
        or_(table.c.one_time.is_(False), table.c.used_at.is_(None)),
    )
    return connection.execute(counted).scalar_one()


def _bound_to(terms: EnrollmentSecret) -> str:
    return f"enrollment secret|{terms.reference}|{terms.purpose}"


def _letters(octets: bytes) -> str:
    """Five bits a letter, to be typed by people: A-Z and 2-7 (RFC 4648, 6)."""
    return b32encode(octets).decode("ascii")
