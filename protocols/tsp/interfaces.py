"""What issuing a token needs from outside, beside the core's ``Keys`` and the trusted clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from cspd.keys.values import KeyReference, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeStampUnit:
    """The key and certificate that an issuer signs with now; checked when it was loaded."""

    key: KeyReference
    public_key: PublicKey
    certificate: x509.Certificate
    certificate_der: bytes
    chain_der: tuple[bytes, ...]
    """From the issuer of the certificate upwards."""
    sign_until: datetime
    """The end of the certificate or of its privateKeyUsagePeriod, whichever is first, UTC."""


class TimeStampUnits(Protocol):
    """Gives each issuer its unit."""

    def current(self, issuer: str) -> TimeStampUnit:
        """The unit that signs now, the same object until it is replaced.

        Never waits. Raises :class:`cspd.refusals.Unavailable` when there is none that may sign.
        """
        ...

    async def settled(self, issuer: str) -> None:
        """Wait until the issuer's unit was looked for once, with or without success; later it returns at once.

        For a request that :meth:`current` has refused: after a start or a reload the key service is asked for the
        keys while requests arrive already.
        """
        ...


class SerialNumbers(Protocol):
    """Serial numbers of tokens: positive, and never the same twice, over issuers, processes, nodes and restarts."""

    async def next(self, octets: int) -> int:
        """A number whose DER has exactly that many octets, 8 to 20. Does not suspend while its reserve lasts.

        Raises :class:`cspd.refusals.Unavailable`.
        """
        ...


class GenTimes(Protocol):
    """Times of ordered tokens."""

    async def next(self, issuer: str, now: datetime) -> datetime:
        """A time, to the microsecond, later than any that was given for this issuer on any node before this call.

        It is not before ``now``: ``now`` itself for a lone caller, the next free microsecond where that is taken, and
        from the latest ``now`` on for concurrent callers, who share one question to the store and get their times in
        the order in which they called. Raises :class:`cspd.refusals.Unavailable`, also when the times given are further
        ahead of the clock than any honest clock explains.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedToken:
    """What the timestamp log remembers of a token."""

    issuer: str
    serial_number: int
    gen_time: datetime
    token_sha256: bytes
    """Of the TimeStampToken, DER."""


class TimestampLog(Protocol):
    """Remembers tokens, in a hash chain."""

    async def append(self, token: LoggedToken) -> None:
        """Durable when it returns; concurrent callers share one write. Raises :class:`cspd.refusals.Unavailable`."""
        ...
