"""Challenges of MDM-SCEP: passwords that a device enrolls with once (R-CEG-092 to 096).

::

    web service:  create(tenant, digital ID, subject, ...)      -> challenge, shown once
    SCEP:         find(tenant, digital ID, challengePassword)   -> what was ordered
                  Issuance.enroll(request, recorded=use(found))

The store has the digest of a challenge alone. ``use`` runs in the transaction that stores the certificate, so that of
two devices that come with the same challenge one gets a certificate.
"""

from __future__ import annotations

from base64 import b32encode
from datetime import timedelta
from hashlib import sha256
from random import Random

from cryptography import x509
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.interfaces import Recorded
from cspd.authority.values import Requester
from cspd.clock import Clock
from cspd.digital_ids.tables import digital_id_challenges as table
from cspd.digital_ids.users import Users, insert_certificate
from cspd.digital_ids.values import Challenge, Delivery, NewChallenge
from cspd.refusals import Conflict, Unauthorized
from cspd.store.interfaces import Database
from cspd.x509.general_name_encoding import decode_general_names, encode_general_names
from cspd.x509.names import format_name

NOT_PROVED = "unknown challenge, or one that is used or expired"
"""Also for a challenge of another tenant or digital ID: only who has the right one may learn more."""
MAX_CHALLENGE = 128
"""Characters that are looked at."""
_FIND = select(table).where(table.c.digest == bindparam("of_digest"))
_USE = (
    update(table)
    .where(table.c.digest == bindparam("of_digest"), table.c.used_at.is_(None), table.c.expires_at > bindparam("at"))
    .values(used_at=bindparam("at"))
)


class Challenges:
    """Makes, finds and uses up challenges."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        database: Database,
        audit: AuditLog,
        users: Users,
        lifetime: timedelta,
    ) -> None:
        """``random`` is cryptographically strong."""
        self._clock = clock
        self._random = random
        self._database = database
        self._audit = audit
        self._users = users
        self.lifetime = lifetime

    async def create(
        self,
        *,
        tenant: str,
        digital_id: str,
        subject: x509.Name,
        subject_alt_names: tuple[x509.GeneralName, ...],
        by: Requester,
    ) -> NewChallenge:
        """Make a challenge of 120 random bits for one certificate, and its user if there is none of that name."""
        secret = b32encode(self._random.randbytes(15)).decode("ascii")
        digest, now = _digest(secret), self._clock.now()
        expires_at = now + self.lifetime

        def store(connection: Connection) -> str:
            user_id = self._users.find_or_create(connection, tenant, subject)
            connection.execute(
                insert(table),
                {
                    "digest": digest,
                    "tenant": tenant,
                    "digital_id": digital_id,
                    "user_id": user_id,
                    "subject": subject.public_bytes(),
                    "subject_alt_names": encode_general_names(subject_alt_names) if subject_alt_names else None,
                    "created_by": by.identity,
                    "created_at": now,
                    "expires_at": expires_at,
                },
            )
            self._audit.append(
                connection,
                AuditEvent(
                    event="mdm-challenge-created",
                    actor=f"{by.protocol}:{by.identity}",
                    fields={
                        "tenant": tenant,
                        "digital_id": digital_id,
                        "subject": format_name(subject),
                        "user": user_id,
                        "expires_at": expires_at.isoformat(),
                        "address": by.address,
                        "request_id": by.request_id,
                    },
                ),
            )
            return user_id

        user_id = await self._database.write(store)
        challenge = Challenge(
            digest=digest,
            tenant=tenant,
            digital_id=digital_id,
            user_id=user_id,
            subject=subject,
            subject_alt_names=subject_alt_names,
            created_by=by.identity,
            expires_at=expires_at,
        )
        return NewChallenge(challenge=challenge, secret=secret)

    async def find(self, tenant: str, digital_id: str, secret: str) -> Challenge:
        """The order of a challenge that may be used now; raises Unauthorized for any other.

        It is looked for by its digest: how long that takes tells nothing of the challenges there are.
        """
        digest = _digest(secret[:MAX_CHALLENGE])
        row = await self._database.read(lambda connection: connection.execute(_FIND, {"of_digest": digest}).first())
        if row is None:
            raise Unauthorized(NOT_PROVED, detail="unknown challenge")
        if (row.tenant, row.digital_id) != (tenant, digital_id):
            raise Unauthorized(NOT_PROVED, detail=f"challenge of {row.tenant}, {row.digital_id}")
        if row.used_at is not None:
            raise Unauthorized(NOT_PROVED, detail=f"challenge used on {row.used_at.isoformat()}")
        if row.expires_at <= self._clock.now():
            raise Unauthorized(NOT_PROVED, detail=f"challenge expired on {row.expires_at.isoformat()}")
        return Challenge(
            digest=row.digest,
            tenant=row.tenant,
            digital_id=row.digital_id,
            user_id=row.user_id,
            subject=x509.Name.from_bytes(row.subject),
            subject_alt_names=decode_general_names(row.subject_alt_names) if row.subject_alt_names else (),
            created_by=row.created_by,
            expires_at=row.expires_at,
        )

    def use(self, challenge: Challenge) -> Recorded:
        """For ``recorded`` of issuance: use the challenge up, and note whose the certificate is.

        Raises Conflict, code ``challenge-used``, in the transaction if it was used meanwhile or has just expired.
        """

        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            used = connection.execute(_USE, {"of_digest": challenge.digest, "at": self._clock.now()})
            if used.rowcount != 1:
                raise Conflict("the challenge cannot be used any more", code="challenge-used")
            insert_certificate(connection, authority_id, serial, challenge.user_id, challenge.digital_id, Delivery.SCEP)

        return recorded

    async def delete_expired(self) -> None:
        """Delete the challenges whose time is over, used or not, and no others (R-CEG-096)."""
        gone = delete(table).where(table.c.expires_at <= self._clock.now())
        await self._database.write(lambda connection: connection.execute(gone).rowcount)


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
