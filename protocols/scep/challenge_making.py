"""Makes one-time challenges for whoever may hand them out: a webhook of an MDM, the page for NDES's clients."""

from __future__ import annotations

from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import digest
from random import Random

from cspd.authentication.secrets import EnrollmentSecrets, GivenSecret, NewSecret
from cspd.authority.values import Requester
from cspd.refusals import Conflict, Unauthorized
from cspd.store.secrets import SharedSecrets
from protocols.scep.interfaces import Terms
from protocols.scep.one_time_challenges import PURPOSE, OneTimeChallenge, joined_text, ndes_secret

_ATTEMPTS = 5
"""Short references are random too, and rarely taken."""
_GUESSES = 5
"""Wrong codes that lock a challenge; short ones have 32 random bits."""
_REFERENCES = "scep-challenge-references"
"""The name of the key that references are computed with."""
_REFERENCE_DIGITS = 16
_LONG_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A challenge that somebody asks for."""

    terms: Terms
    by: Requester
    """Who hands it out, and has a limited number of them."""
    identity: str
    """Whom it is for, as far as that is known."""
    lifetime: timedelta
    max_usable: int
    """How many that nobody has used yet ``by`` may have for the CA and profile."""
    one_time: bool = True
    digits: int | None = None
    """Hexadecimal digits, as NDES has them: 16 or 32. None: 40 letters and digits."""
    repeats: bytes | None = None
    """What makes this order the same as an earlier one, which is then answered with the same challenge. Such orders
    have 32 digits, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeChallenge:
    """What a client is to send as challengePassword."""

    text: str = field(repr=False)
    expires_at: datetime


class ChallengeMaking:
    """Makes challenges, or finds what it made for the same order before, on whichever node."""

    def __init__(self, *, random: Random, secrets: EnrollmentSecrets, shared_secrets: SharedSecrets) -> None:
        """``random`` is cryptographically strong."""
        self._random = random
        self._secrets = secrets
        self._shared_secrets = shared_secrets

    async def make(self, order: Order) -> MadeChallenge:
        """The challenge of an order.

        Raises LimitExceeded if too many wait to be used, Conflict without a master key, and if the challenge of an
        order that repeats another is not usable any more.
        """
        if order.repeats is not None:
            return await self._same(order, order.repeats)
        if order.digits is None:
            return _made(await self._create(order, None))
        for _ in range(_ATTEMPTS - 1):
            try:
                return _made(await self._create(order, ndes_secret(self._random, order.digits)))
            except Conflict as error:
                if error.refusal_code != "secret-exists":
                    raise
        return _made(await self._create(order, ndes_secret(self._random, order.digits)))

    async def _same(self, order: Order, repeats: bytes) -> MadeChallenge:
        """The reference is computed from what repeats, so that the store itself keeps a second one from being made.

        With a key, since whoever knows a reference can lock its challenge by wrong codes.
        """
        key = await self._shared_secrets.get(_REFERENCES)
        place = f"{order.by.protocol}|{order.by.identity}|{order.terms.ca}|{order.terms.profile}|"
        computed = digest(key, place.encode() + repeats, "sha256")
        if order.digits is None:
            given = GivenSecret(b32encode(computed[:10]).decode(), b32encode(self._random.randbytes(15)).decode())
        else:
            assert order.digits == _LONG_DIGITS
            code = self._random.randbytes(_REFERENCE_DIGITS // 2).hex().upper()
            given = GivenSecret(computed.hex().upper()[:_REFERENCE_DIGITS], code)
        try:
            return _made(await self._create(order, given))
        except Conflict as error:
            if error.refusal_code != "secret-exists":
                raise
        try:
            found = await self._secrets.find(PURPOSE, given.reference)
        except Unauthorized as error:
            raise Conflict(
                "the challenge that this was answered with is used, revoked or locked", code="challenge-gone"
            ) from error
        text = joined_text(OneTimeChallenge(found.terms.reference, found.secret.decode()))
        return MadeChallenge(text=text, expires_at=found.terms.expires_at)

    async def _create(self, order: Order, given: GivenSecret | None) -> NewSecret:
        return await self._secrets.create(
            purpose=PURPOSE,
            identity=order.identity,
            lifetime=order.lifetime,
            by=order.by,
            ca=order.terms.ca,
            profile=order.terms.profile,
            one_time=order.one_time,
            tries=_GUESSES,
            given=given,
            max_usable=order.max_usable,
        )


def _made(new: NewSecret) -> MadeChallenge:
    text = joined_text(OneTimeChallenge(new.terms.reference, new.secret))
    return MadeChallenge(text=text, expires_at=new.terms.expires_at)
