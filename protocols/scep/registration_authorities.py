"""The registration authorities of our CAs (RFC 8894, 2.1.2; R-CEG-054 to R-CEG-060).

Clients envelope for a registration authority and not for the CA, whose key signs only. Which CA has one is said by
conf; :mod:`cspd.certified_keys` makes its key and certificate, and renews them without anybody's doing. The previous
key goes on to open envelopes for a while.

There is nothing of a CA's next key to announce here: a re-key takes effect at once, and ``GetCACert`` gives the new
certificate from then on. What ``GetNextCACert`` gives is another CA that conf says will follow (``Terms.next_ca``), and
:meth:`OwnRegistrationAuthorities.of` that one has its certificates, if it is served too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from cspd.authority.interfaces import Authorities
from cspd.authority.values import CAReference
from cspd.clock import Clock
from cspd.refusals import NotFound, Unavailable
from protocols.scep.interfaces import RegistrationAuthority
from protocols.scep.registration_authority_keys import HeldAuthority, RegistrationAuthorityKeys

LOOK_AGAIN = timedelta(seconds=1)
"""Between two looks for the sake of requests: whoever asks for what is not there does not keep the store busy."""


class OwnRegistrationAuthorities:
    """Implements :class:`protocols.scep.interfaces.RegistrationAuthorities`."""

    def __init__(
        self,
        cas: Iterable[str],
        *,
        clock: Clock,
        keys: RegistrationAuthorityKeys,
        authorities: Authorities,
        look: Callable[[], Awaitable[None]],
    ) -> None:
        """``look`` looks at once at what other nodes have made."""
        self._cas = frozenset(cas)
        self._clock = clock
        self._keys = keys
        self._authorities = authorities
        self._look = look
        self._look_again_at: datetime | None = None

    async def of(self, ca: CAReference) -> RegistrationAuthority:
        """See :class:`protocols.scep.interfaces.RegistrationAuthorities`; waits while the very first one is made."""
        name = str(ca)
        if name not in self._cas:
            raise NotFound(f"{name} has no registration authority for SCEP", code="no-registration-authority")
        authority = await self._authorities.get(ca)
        held = self._keys.held(name) or await self._awaited(name)
        if held is None:
            raise Unavailable(
                f"the registration authority of {name} has no certificate that can be used now",
                detail=self._keys.trouble(name),
            )
        return held.told_under(authority)

    async def _awaited(self, name: str) -> HeldAuthority | None:
        await self._keys.settled(name)
        now = self._clock.now()
        is_time = self._look_again_at is None or now >= self._look_again_at
        if self._keys.held(name) is None and is_time:
            self._look_again_at = now + LOOK_AGAIN
            await self._look()
        return self._keys.held(name)


__all__ = ["OwnRegistrationAuthorities"]
