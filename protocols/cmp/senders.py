"""Who sent a message: whoever has the secret of its MAC, or the key of its signature (RFC 9483, 3.2 and 3.5).

A MAC: the reference in the header finds an enrollment secret, which is the sender's only if its MAC fits. That there is
no such secret, that it was revoked or has expired is answered by the text, and after the work, of a wrong MAC.

What the store knows of either is looked up beforehand (:meth:`VerifiedSenders.look_up`), together with the transaction.

A signature: the first of extraCerts verifies it. It has to be a good certificate of the CA, that of a registration
authority, or one that goes back to the vendors whom the path trusts; extendedKeyUsage is asked for of registration
authorities alone. Whether a stranger's certificate was revoked by its issuer is not found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from cryptography import x509
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authentication.certificates import ClientCertificates, TrustAnchors, require_good
from cspd.authentication.secrets import MAX_REFERENCE, FoundSecret, KeptSecret, look_up
from cspd.authority.certificates import find_certificate
from cspd.authority.interfaces import Authorities
from cspd.authority.values import CertificateRecord
from cspd.clock import Clock
from cspd.refusals import Forbidden, Unauthorized
from cspd.x509.names import format_name
from protocols.cmp.algorithm_rules import AlgorithmRules
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.general_names import shared_secret_reference
from protocols.cmp.header_rules import FOLLOW_UP_BODIES, check_signer, protection_certificate, require_protection
from protocols.cmp.interfaces import ClaimedSender, Sender, Terms
from protocols.cmp.mac_algorithms import MAC_ALGORITHMS
from protocols.cmp.mac_keys import MACKeys
from protocols.cmp.messages import BodyType, PKIHeader, PKIMessage
from protocols.cmp.protection import ProtectionKind, protection_kind, verify_mac, verify_message_signature
from protocols.cmp.registration_authorities import CMC_RA, RegistrationAuthorities
from protocols.cmp.status import PKIFailureInfo

PURPOSE = "cmp"
"""Of enrollment secrets."""
_GOES_ON = FOLLOW_UP_BODIES - {BodyType.NESTED}
_log = Logger()


class SharedSecrets(Protocol):
    """Secrets of clients: :class:`cspd.authentication.secrets.EnrollmentSecrets`."""

    def open(self, kept: KeptSecret | None, purpose: str, *, even_used: bool = False) -> FoundSecret:
        """The secret, if it is usable; raises Unauthorized, and Unavailable."""
        ...

    async def failed(self, reference: str) -> None:
        """Count a wrong MAC; a secret has so many tries."""
        ...


class VerifiedSenders:
    """Implements :class:`protocols.cmp.interfaces.Senders`."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        secrets: SharedSecrets,
        mac_keys: MACKeys,
        certificates: ClientCertificates,
        rules: Mapping[str, AlgorithmRules],
        trust: Mapping[str, TrustAnchors],
        registration_authorities: RegistrationAuthorities,
        no_secret: bytes,
    ) -> None:
        """``no_secret`` are random octets, to be derived from where there is no secret."""
        self._clock = clock
        self._authorities = authorities
        self._secrets = secrets
        self._mac_keys = mac_keys
        self._certificates = certificates
        self._rules = rules
        self._trust = trust
        self._registration_authorities = registration_authorities
        self._no_secret = no_secret

    def look_up(self, connection: Connection, message: PKIMessage) -> ClaimedSender:
        """See :class:`protocols.cmp.interfaces.Senders`."""
        algorithm = message.header.protection_alg
        if algorithm is None:
            return ClaimedSender()
        if algorithm.oid in MAC_ALGORITHMS:
            return ClaimedSender(secret=look_up(connection, _reference(message.header)))
        if not message.extra_certs_der:
            return ClaimedSender()
        return ClaimedSender(record=find_certificate(connection, message.extra_certs_der[0]))

    async def authenticate(
        self, message: PKIMessage, terms: Terms, claimed: ClaimedSender, *, is_repeated: bool = False
    ) -> Sender:
        """See :class:`protocols.cmp.interfaces.Senders`."""
        kind = protection_kind(message.header)
        if kind is ProtectionKind.MAC:
            even_used = is_repeated or message.body.type in _GOES_ON
            return await self._by_secret(message, terms, claimed.secret, even_used=even_used)
        if kind is ProtectionKind.SIGNATURE:
            return await self._by_signature(message, terms, claimed.record)
        require_protection(message)
        raise PKIMessageRejected(PKIFailureInfo.BAD_MESSAGE_CHECK, "the message has no protectionAlg")

    async def _by_secret(
        self, message: PKIMessage, terms: Terms, kept: KeptSecret | None, *, even_used: bool
    ) -> Sender:
        require_protection(message)
        if not terms.mac:
            raise PKIMessageRejected(PKIFailureInfo.WRONG_INTEGRITY, "messages have to be signed here, not MACed")
        assert message.header.protection_alg is not None
        reference = _reference(message.header)
        found: FoundSecret | None = None
        why = "wrong MAC"
        try:
            found = self._secrets.open(kept, PURPOSE, even_used=even_used)
        except Unauthorized as error:
            why = str(error)
        secret = self._no_secret if found is None else found.secret
        key = await self._mac_keys.derive(secret, message.header.protection_alg, terms.rules)
        try:
            verify_mac(message, key)
        except PKIMessageRejected:
            found = None
        if found is None:
            await self._secrets.failed(reference)  # of none too, which takes as long
            _log.info("refused a MAC by the secret {reference}: {why}", reference=reference, why=why)
            raise PKIMessageRejected(
                PKIFailureInfo.BAD_MESSAGE_CHECK, "the MAC of the message does not fit, or its secret is not known"
            )
        self._mac_keys.keep(secret, key, terms.rules)
        try:
            found.terms.require(terms.ca, terms.profile)
        except Forbidden as error:
            raise PKIMessageRejected(PKIFailureInfo.NOT_AUTHORIZED, error.reason) from error
        return Sender(
            identity=found.terms.identity,
            protection=ProtectionKind.MAC,
            secret=found.terms,
            mac_key=key,
            password=found.secret,
        )

    async def _by_signature(self, message: PKIMessage, terms: Terms, record: CertificateRecord | None) -> Sender:
        may_sign = terms.certificate or terms.vendor_trust or self._registration_authorities.any_for(terms.ca)
        if not may_sign:
            raise PKIMessageRejected(PKIFailureInfo.WRONG_INTEGRITY, "messages have to be MACed here, not signed")
        rules = self._rules[terms.rules]
        assert message.header.protection_alg is not None
        rules.check_signature_algorithm(message.header.protection_alg)
        certificate = protection_certificate(message)
        check_signer(message.header, certificate)
        verify_message_signature(message, certificate)
        rules.check_signer_key(certificate.public_key())
        return await self._trusted(certificate, record, message.extra_certs_der, terms)

    async def _trusted(
        self,
        certificate: x509.Certificate,
        record: CertificateRecord | None,
        sent_der: Sequence[bytes],
        terms: Terms,
    ) -> Sender:
        """Who has the certificate, whose key has signed."""
        now = self._clock.now()
        try:
            if record is not None:
                require_good(record)
        except Unauthorized as error:
            raise _not_trusted("the protection certificate is revoked", error) from error
        own = record is not None and record.authority_id == (await self._authorities.get(terms.ca)).id
        if own:
            _check_validity(certificate, now)
        is_registration_authority = (
            record is not None and own and self._registration_authorities.own(terms.ca, certificate, record)
        )
        if not is_registration_authority:
            is_registration_authority = await self._goes_back(
                self._registration_authorities.anchors(terms.ca, certificate), sent_der, now, CMC_RA
            )
        if is_registration_authority:
            return _signer(certificate, record, is_registration_authority=True)
        if own and terms.certificate:
            return _signer(certificate, record)
        if terms.vendor_trust is not None and not own:
            await self._check_path(self._trust[terms.vendor_trust], sent_der, now)
            return _signer(certificate, record, by_vendor=True)
        if own:
            raise PKIMessageRejected(
                PKIFailureInfo.NOT_AUTHORIZED, "a certificate of this CA is not enough to be served here"
            )
        raise PKIMessageRejected(PKIFailureInfo.SIGNER_NOT_TRUSTED, "nobody known here vouches for the signer")

    async def _goes_back(
        self, anchors: Sequence[TrustAnchors], sent_der: Sequence[bytes], now: datetime, usage: x509.ObjectIdentifier
    ) -> bool:
        for each in anchors:
            try:
                await self._check_path(each, sent_der, now, usage)
            except PKIMessageRejected:
                continue
            return True
        return False

    async def _check_path(
        self,
        anchors: TrustAnchors,
        sent_der: Sequence[bytes],
        now: datetime,
        usage: x509.ObjectIdentifier | None = None,
    ) -> None:
        try:
            await self._certificates.check(sent_der[0], sent_der[1:], anchors, now, usage)
        except Unauthorized as error:
            raise _not_trusted("the protection certificate is not trusted", error) from error


def _reference(header: PKIHeader) -> str:
    """The name of the secret; one that no secret has for octets that none can have."""
    octets = shared_secret_reference(header) or b""
    is_text = octets.isascii() and len(octets) <= MAX_REFERENCE and octets.decode("ascii").isprintable()
    return octets.decode("ascii") if is_text else ""


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise PKIMessageRejected(PKIFailureInfo.SIGNER_NOT_TRUSTED, "the protection certificate is not valid now")


def _not_trusted(status_string: str, error: Unauthorized) -> PKIMessageRejected:
    return PKIMessageRejected(PKIFailureInfo.SIGNER_NOT_TRUSTED, status_string, detail=error.detail or error.reason)


def _signer(
    certificate: x509.Certificate,
    record: CertificateRecord | None,
    *,
    is_registration_authority: bool = False,
    by_vendor: bool = False,
) -> Sender:
    return Sender(
        identity=format_name(certificate.subject) or f"certificate {certificate.serial_number:x}",
        protection=ProtectionKind.SIGNATURE,
        certificate=certificate,
        record=record,
        is_registration_authority=is_registration_authority,
        by_vendor=by_vendor,
    )
