"""Key generation authorities: who signs the keys that are made for clients, where the CA does not (RFC 9483, 4.1.6).

Which CA has one is said by conf; :mod:`cspd.certified_keys` makes its key and certificate, and renews them without
anybody's doing. A CA that conf gives none to signs with its own key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import Logger

from cspd.authority.client_keys import KeyGenerationAuthority
from cspd.authority.values import CAReference
from cspd.certified_keys.first_look import FirstLook
from cspd.certified_keys.values import CertifiedKey
from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.refusals import Unavailable
from cspd.x509.certificate_paths import UNREADABLE
from protocols.cmp.key_generation_authority_config import CM_KGA

_WARNING = 20
"""Health is degraded in this part of a certificate's life before its end: its successor should long be there."""


class KeyGenerationAuthorities:
    """Implements :class:`cspd.certified_keys.following.KeyUser`; what finds and makes keys puts them here."""

    _log = Logger()

    def __init__(self, cas: Iterable[str] = (), *, clock: Clock) -> None:
        """``cas`` are those that have one, as ``organization~ca``."""
        self._clock = clock
        self._troubles = dict.fromkeys(cas, "")
        self._first_look = FirstLook(self._troubles)
        self._current: dict[str, CertifiedKey] = {}

    async def of(self, ca: CAReference) -> KeyGenerationAuthority | None:
        """Who signs for the clients of a CA; None for one that does so itself.

        Waits while the very first one is made; raises Unavailable while there is none.
        """
        name = str(ca)
        if name not in self._troubles:
            return None
        if name not in self._current:
            await self._first_look.settled(name)
        key = self._held(name)
        if key is None:
            raise Unavailable(
                f"the key generation authority of {name} has no certificate that can be used now",
                detail=self._troubles[name],
            )
        return KeyGenerationAuthority(
            certificate_der=key.certificate_der,
            key=key.key,
            chain_der=tuple(each.public_bytes(Encoding.DER) for each in key.chain),
        )

    def note(self, holder: str, trouble: str) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        self._troubles[holder] = trouble
        self._first_look.looked_at(holder)

    def changed(self, current: Mapping[str, CertifiedKey], good: Sequence[CertifiedKey]) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        for name in self._troubles:
            known, key = self._current.get(name), current.get(name)
            if key is not None and (known is None or known.id != key.id):
                self._current[name] = key
                self.note(name, "")
                self._log.info("the key generation authority of {ca} uses the key {key}", ca=name, key=str(key.key))
            elif key is None and known is not None:
                del self._current[name]
                self.note(name, "its certificate ended or was revoked")

    def give_up(self) -> None:
        """Let nobody wait any more for what was not looked for by now; for the end."""
        for name in self._first_look.give_up():
            self._troubles[name] = "the protocol was stopped"

    def health(self) -> Sequence[Health]:
        """One for each: failed without a certificate, degraded before its end or with a trouble."""
        return tuple(self._health(name) for name in self._troubles)

    def _held(self, name: str) -> CertifiedKey | None:
        key = self._current.get(name)
        return key if key is not None and self._clock.now() < key.not_after else None

    def _health(self, name: str) -> Health:
        part, key, trouble = f"cmp-kga-{name}", self._held(name), self._troubles[name]
        if key is None:
            reason = trouble or "its certificate has not been looked for yet"
            return Health(part=part, state=HealthState.FAILED, reason=reason)
        if self._clock.now() >= key.not_after - (key.not_after - key.created_at) / _WARNING:
            trouble = trouble or f"its certificate ends on {key.not_after:%Y-%m-%d %H:%M} UTC"
        return Health(part=part, state=HealthState.DEGRADED if trouble else HealthState.OK, reason=trouble)


def find_faults(
    _: str, certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime
) -> Sequence[str]:
    """What keeps a certificate from being that of a key generation authority (RFC 9483, 4.1.6); empty: nothing."""
    faults = []
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        faults.append("it is not valid now")
    try:
        values = [extension.value for extension in certificate.extensions]
    except UNREADABLE as error:
        return [*faults, f"its extensions cannot be read: {error}"]
    usages = [each for each in values if isinstance(each, x509.ExtendedKeyUsage)]
    if not any(x509.ObjectIdentifier(CM_KGA) in each for each in usages):
        faults.append("its extendedKeyUsage lacks cmKGA")
    if not all(each.digital_signature for each in values if isinstance(each, x509.KeyUsage)):
        faults.append("its keyUsage lacks digitalSignature")
    return faults


__all__ = ["KeyGenerationAuthorities", "find_faults"]
