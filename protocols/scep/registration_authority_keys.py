"""The keys and certificates of registration authorities that this node uses now, and how each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from twisted.logger import Logger

from cspd.authority.values import Authority
from cspd.certified_keys.first_look import FirstLook
from cspd.certified_keys.values import CertifiedKey
from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.keys.interfaces import Keys
from cspd.keys.signer import SignatureHash, Signer
from cspd.refusals import NotFound, Unavailable
from protocols.scep.codec import MessageSigner
from protocols.scep.decryption import StoredKeyDecryption
from protocols.scep.envelope import RecipientKey
from protocols.scep.interfaces import RegistrationAuthority
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig, Role

_WARNING = 20
"""Health is degraded in this part of a certificate's life before its end: its successor should long be there."""


def holder_of(ca: str, role: Role) -> str:
    """How the store names what the key of a CA's registration authority is for."""
    return ca if role is Role.BOTH else f"{ca} {role.value}"


def role_of(holder: str) -> tuple[str, Role]:
    """The CA and role of such a name."""
    ca, _, role = holder.partition(" ")
    return ca, Role(role) if role else Role.BOTH


class _StoredSigner(Signer):
    """Signs with one of our keys; that it is not there is nothing that the client asked for."""

    async def sign(self, octets: bytes) -> bytes:
        """See :class:`cspd.keys.signer.Signer`; raises Unavailable only."""
        try:
            return await super().sign(octets)
        except NotFound as error:
            raise Unavailable("the key is not there", detail=str(self.reference)) from error


@dataclass(eq=False, slots=True)
class HeldAuthority:
    """What speaks for one CA now."""

    signing: CertifiedKey
    encryption: CertifiedKey
    recipients: tuple[RecipientKey, ...]
    _keys: Keys = field(repr=False)
    _signers: dict[str, MessageSigner] = field(default_factory=dict)
    _told: tuple[Authority, RegistrationAuthority] | None = None

    @property
    def not_after(self) -> datetime:
        """When the first of its certificates ends."""
        return min(self.signing.not_after, self.encryption.not_after)

    def signer(self, digest: hashes.HashAlgorithm) -> MessageSigner:
        """What signs answers with this digest."""
        signer = self._signers.get(digest.name)
        if signer is None:
            public_key = self.signing.certificate.public_key()
            assert isinstance(public_key, rsa.RSAPublicKey)  # or it would not have been taken
            assert isinstance(digest, SignatureHash)
            key = _StoredSigner(self._keys, self.signing.key, public_key, digest)
            signer = self._signers[digest.name] = MessageSigner(self.signing.certificate_der, key, digest)
        return signer

    def told_under(self, authority: Authority) -> RegistrationAuthority:
        """What the protocol is told of it, beside the CA as it is now."""
        if self._told is None or self._told[0] is not authority:
            told = RegistrationAuthority(
                certificates_der=_with_chain([self.signing, self.encryption], authority),
                signing_certificate_der=self.signing.certificate_der,
                signer=self.signer,
                recipients=self.recipients,
            )
            self._told = (authority, told)
        return self._told[1]


class RegistrationAuthorityKeys(Collector):
    """Implements :class:`cspd.certified_keys.following.KeyUser`; what finds and makes keys puts them here."""

    _log = Logger()

    def __init__(self, entries: Sequence[RegistrationAuthorityConfig], *, clock: Clock, keys: Keys) -> None:
        self._clock = clock
        self._keys = keys
        self._roles = {entry.ca: tuple(entry.profiles) for entry in entries}
        self._holders = {ca: [holder_of(ca, role) for role in roles] for ca, roles in self._roles.items()}
        self._troubles = {holder: "" for holders in self._holders.values() for holder in holders}
        self._first_look = FirstLook(self._troubles)
        self._current: dict[str, CertifiedKey] = {}
        self._recipients: dict[str, RecipientKey] = {}
        self._held: dict[str, HeldAuthority] = {}

    def held(self, ca: str) -> HeldAuthority | None:
        """What speaks for that CA; None if nothing can now."""
        held = self._held.get(ca)
        return held if held is not None and self._clock.now() < held.not_after else None

    async def settled(self, ca: str) -> None:
        """Wait until the keys of that CA were looked for, or tried to be made, once."""
        for holder in self._holders.get(ca, ()):
            await self._first_look.settled(holder)

    def trouble(self, ca: str) -> str:
        """What hinders the registration authority of that CA; empty: nothing."""
        troubles = [self._troubles[holder] for holder in self._holders.get(ca, ())]
        return "; ".join(dict.fromkeys(each for each in troubles if each))

    def give_up(self) -> None:
        """Let nobody wait any more for what was not looked for by now; for the end."""
        for holder in self._first_look.give_up():
            self._troubles[holder] = "the protocol was stopped"

    def note(self, holder: str, trouble: str) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        self._troubles[holder] = trouble
        self._first_look.looked_at(holder)

    def changed(self, current: Mapping[str, CertifiedKey], good: Sequence[CertifiedKey]) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        for holder in self._troubles:
            known, key = self._current.get(holder), current.get(holder)
            if key is not None and (known is None or known.id != key.id):
                self._current[holder] = key
                self.note(holder, "")
                self._log.info(
                    "SCEP registration authority {holder} uses the key {key}", holder=holder, key=str(key.key)
                )
            elif key is None and known is not None:
                del self._current[holder]
                self.note(holder, "its certificate ended or was revoked")
        self._recipients = {key.id: self._recipients.get(key.id) or self._recipient(key) for key in good}
        for ca, holders in self._holders.items():
            self._hold(ca, holders, [key for key in good if role_of(key.holder)[0] == ca])

    def _hold(self, ca: str, holders: Sequence[str], good: Sequence[CertifiedKey]) -> None:
        keys = [self._current[holder] for holder in holders if holder in self._current]
        if len(keys) < len(holders):
            self._held.pop(ca, None)
            return
        # Earlier ones, and those that other nodes take into use before this one, open envelopes too.
        recipients = tuple(self._recipients[key.id] for key in good if role_of(key.holder)[1].opens_envelopes)
        held = self._held.get(ca)
        if held is None or (held.signing, held.encryption, held.recipients) != (keys[0], keys[-1], recipients):
            self._held[ca] = HeldAuthority(keys[0], keys[-1], recipients, self._keys)

    def _recipient(self, key: CertifiedKey) -> RecipientKey:
        return RecipientKey(key.certificate, StoredKeyDecryption(self._keys, key.key))

    def health(self) -> Sequence[Health]:
        """One for each CA: failed without a certificate, degraded before its end or with a trouble."""
        return tuple(self._health(ca) for ca in self._roles)

    def _health(self, ca: str) -> Health:
        part = f"scep-ra-{ca}"
        held, trouble = self.held(ca), self.trouble(ca)
        if held is None:
            return Health(part=part, state=HealthState.FAILED, reason=trouble or "it has no certificate yet")
        reasons = [trouble] if trouble else []
        for key in {held.signing.id: held.signing, held.encryption.id: held.encryption}.values():
            if self._clock.now() >= key.not_after - (key.not_after - key.created_at) / _WARNING:
                reasons.append(f"its certificate ends on {key.not_after:%Y-%m-%d %H:%M} UTC")
        if reasons:
            return Health(part=part, state=HealthState.DEGRADED, reason="; ".join(reasons))
        return Health(part=part, state=HealthState.OK)

    def collect(self) -> Iterable[Metric]:
        """When the certificates end, in seconds since 1970; none for a CA that has none."""
        ends = GaugeMetricFamily(
            "cspd_scep_registration_authority_not_after_seconds",
            "When the certificate of the registration authority ends",
            labels=["ca", "role"],
        )
        for holder, key in self._current.items():
            ca, role = role_of(holder)
            ends.add_metric([ca, role.value], key.not_after.timestamp())
        yield ends


def _with_chain(keys: Sequence[CertifiedKey], authority: Authority) -> tuple[bytes, ...]:
    """The certificates of the keys, the CA's, those above it, root last.

    After a re-key of the CA, and until there are certificates by its new key, also the earlier ones that they need.
    """
    own = {key.certificate_der: None for key in keys}
    if authority.certificate_der is None:
        return (*own, *(each.public_bytes(Encoding.DER) for each in keys[0].chain))
    above = [authority.certificate_der, *authority.chain_der]
    known = {_key_of(x509.load_der_x509_certificate(der)) for der in above}
    needed = {each.public_bytes(Encoding.DER): None for key in keys for each in key.chain if _key_of(each) not in known}
    return (*own, authority.certificate_der, *needed, *authority.chain_der)


def _key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


__all__ = ["HeldAuthority", "RegistrationAuthorityKeys", "holder_of", "role_of"]
