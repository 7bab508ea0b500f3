"""Keys that are made here, encrypted beyond TLS for a key that the client names (RFC 7030, 4.4.1.1, 4.4.1.2 and 4.4.2).

::

    DecryptKeyIdentifier            reference number of an enrollment secret with the purpose ``est-decrypt`` that was
                                    made for the client; SHA-256 of the secret is the AES key
    AsymmetricDecryptKeyIdentifier  subjectKeyIdentifier, or IssuerAndSerialNumber in DER, of the client's TLS
                                    certificate; the latter also of a certificate that the same user enrolled before

A client that asks for encryption gets its key encrypted or not at all: the key that it names is found before one is
made for it, and that one is sealed before its certificate is issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha1, sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.client_keys import ClientKeys
from cspd.authority.interfaces import Authorities, CertificateStore, Recorded
from cspd.authority.values import CertificateRecord, CertificateState
from cspd.clock import Clock
from cspd.keys.values import PrivateKey
from cspd.refusals import Malformed, NotFound, Rejected, Unauthorized
from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.recipients import RSAES_OAEP, Recipient, SharedKey, may_receive_keys, recipient_of
from cspd.x509.cms.signed import encode_content_info
from cspd.x509.cms.values import ENVELOPED_DATA, CMSError
from cspd.x509.csr import CSRError
from cspd.x509.csr_attribute_values import attribute_values
from cspd.x509.cursor import Cursor
from cspd.x509.identifiers import key_identifier_of
from protocols.est.messages import Client, Terms

PURPOSE = "est-decrypt"
"""Of the enrollment secrets that keys are encrypted with."""
DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.37"
ASYMMETRIC_DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.54"
SMIME_CAPABILITIES = "1.2.840.113549.1.9.15"
MAX_IDENTIFIER = 512
MAX_CAPABILITIES = 32

_CIPHERS = {
    each.value: each for each in (ContentCipher.AES_128_CBC, ContentCipher.AES_192_CBC, ContentCipher.AES_256_CBC)
}
_EVERY_AGENT_HAS = ContentCipher.AES_128_CBC
"""RFC 8551, 2.7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEncryption:
    """How a client wants its key encrypted."""

    identifier: bytes
    """What names the key to encrypt with."""
    is_asymmetric: bool
    capabilities: tuple[str, ...] = ()
    """Algorithms that the client has, dotted, the dearest first (RFC 8551, 2.5.2); empty if it does not say."""

    @property
    def cipher(self) -> ContentCipher:
        """For the content."""
        known = (_CIPHERS[oid] for oid in self.capabilities if oid in _CIPHERS)
        return next(known, _EVERY_AGENT_HAS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """For whom a key is sealed, and how."""

    recipient: Recipient = field(repr=False)
    cipher: ContentCipher
    recorded: Recorded | None = None
    """For issuance: uses up a one-time secret."""


def wanted_encryption(csr_der: bytes) -> KeyEncryption | None:
    """What a request asks for; None if for nothing beyond TLS. Raises Malformed."""
    try:
        values = attribute_values(csr_der)
        symmetric, asymmetric = _octets(values, DECRYPT_KEY_ID), _octets(values, ASYMMETRIC_DECRYPT_KEY_ID)
        capabilities = _capabilities(values.get(SMIME_CAPABILITIES, ()))
    except (CSRError, tlv.DERError) as error:
        raise Malformed(f"the request's attributes cannot be read: {error}") from error
    if symmetric is not None and asymmetric is not None:
        raise Malformed("a key is encrypted with one key: leave one of the decrypt key identifiers out")
    identifier = symmetric if symmetric is not None else asymmetric
    if identifier is None:
        return None
    if not 1 <= len(identifier) <= MAX_IDENTIFIER:
        raise Malformed(f"a decrypt key identifier has 1 to {MAX_IDENTIFIER} octets")
    return KeyEncryption(identifier=identifier, is_asymmetric=symmetric is None, capabilities=capabilities)


class EncryptedKeys:
    """Finds the key that a client names, and seals with it."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        certificates: CertificateStore,
        secrets: EnrollmentSecrets,
        client_keys: ClientKeys,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._secrets = secrets
        self._client_keys = client_keys

    async def sealing(
        self, csr_der: bytes, client: Client, terms: Terms, *, name: str, is_user: bool
    ) -> Sealing | None:
        """How a key for this request is to be sealed; None if it is not.

        ``name`` is who the client is; ``is_user`` says that nobody else can have the same name. Raises Malformed,
        Rejected where there is no key that the client may name, and Unavailable.
        """
        wanted = wanted_encryption(csr_der)
        if wanted is None:
            return None
        if not wanted.is_asymmetric:
            return await self._shared_with(name, wanted, terms)
        recipient = await self._recipient(wanted, client, terms, user=name if is_user else None)
        return Sealing(recipient=recipient, cipher=wanted.cipher)

    async def seal(self, key: PrivateKey, sealing: Sealing, terms: Terms) -> bytes:
        """The key in a ContentInfo with EnvelopedData, DER; raises Conflict, Unavailable.

        The package is one of version 1: what clients of RFC 7030 load is the PKCS#8 in it.
        """
        authority = await self._authorities.get(terms.ca)
        enveloped_der = await self._client_keys.seal(
            key, authority, sealing.recipient, with_public_key=False, cipher=sealing.cipher
        )
        return encode_content_info(ENVELOPED_DATA, enveloped_der)

    async def _shared_with(self, name: str, wanted: KeyEncryption, terms: Terms) -> Sealing:
        reference = wanted.identifier.decode("latin-1")
        try:
            found = await self._secrets.find(PURPOSE, reference)
        except Unauthorized as error:
            # 401 would ask for another password, which does not help.
            raise _unknown_key(error.detail) from error
        if found.terms.identity != name:
            raise _unknown_key(f"the secret {found.terms.reference} was made for {found.terms.identity}")
        found.terms.require(terms.ca, terms.profile)
        recipient = SharedKey(sha256(found.secret).digest(), wanted.identifier)
        return Sealing(recipient=recipient, cipher=wanted.cipher, recorded=self._secrets.use(found.terms))

    async def _recipient(self, wanted: KeyEncryption, client: Client, terms: Terms, *, user: str | None) -> Recipient:
        if client.certificate_der is not None and wanted.identifier in _identifiers_of(client.certificate_der):
            certificate_der = client.certificate_der
            await self._check_unrevoked(certificate_der)
        elif user is not None:
            certificate_der = await self._enrolled_by(user, wanted.identifier, terms)
        else:
            raise _unknown_key()
        certificate = x509.load_der_x509_certificate(certificate_der)
        try:
            recipient = recipient_of(certificate, oaep=RSAES_OAEP in wanted.capabilities)
        except CMSError as error:
            raise Rejected("nothing can be encrypted with the key that was named", code="bad-decrypt-key") from error
        if not may_receive_keys(certificate):
            raise Rejected(
                "the keyUsage of the certificate that was named allows neither keyEncipherment (RSA) nor keyAgreement"
                " (EC)",
                code="bad-decrypt-key",
            )
        if wanted.identifier == fields_of(certificate_der).issuer_and_serial_number:
            return recipient
        return replace(recipient, certificate=None, key_identifier=wanted.identifier)

    async def _enrolled_by(self, user: str, identifier: bytes, terms: Terms) -> bytes:
        """A good certificate of the CA that the user has enrolled, named by issuer and serial number."""
        authority = await self._authorities.get(terms.ca)
        try:
            record = await self._certificates.find(authority.id, _serial_number(identifier))
        except NotFound as error:
            raise _unknown_key() from error
        certificate_der = record.certificate_der
        if (
            certificate_der is None
            or (record.protocol, record.requester) != ("est", user)
            or fields_of(certificate_der).issuer_and_serial_number != identifier
        ):
            raise _unknown_key()
        self._check_good(record)
        return certificate_der

    async def _check_unrevoked(self, certificate_der: bytes) -> None:
        """Certificates of other CAs have shown that they have the key in the TLS handshake, which is enough here."""
        try:
            record = await self._certificates.find_by_der(certificate_der)
        except NotFound:
            return
        self._check_good(record)

    def _check_good(self, record: CertificateRecord) -> None:
        is_current = record.not_before <= self._clock.now() < record.not_after
        if record.status.state is not CertificateState.GOOD or not is_current:
            raise Rejected("the certificate that was named is revoked, held or expired", code="bad-decrypt-key")


def _unknown_key(detail: str = "") -> Rejected:
    """RFC 7030, 4.4.1.1 and 4.4.1.2: the request is terminated and an error returned."""
    return Rejected("there is no key of yours with that decrypt key identifier", code="no-decrypt-key", detail=detail)


def _identifiers_of(certificate_der: bytes) -> frozenset[bytes]:
    """What a client may call the key of its certificate."""
    fields = fields_of(certificate_der)
    identifiers = {
        fields.issuer_and_serial_number,
        sha1(fields.public_key).digest(),  # noqa: S324  # RFC 5280, 4.2.1.2: a name, no protection
        key_identifier_of(fields.subject_public_key_info),
    }
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        identifiers.add(certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        pass
    return frozenset(identifiers)


def _serial_number(identifier: bytes) -> int:
    """That of an IssuerAndSerialNumber; raises the refusal for other octets."""
    try:
        whole = Cursor.over(identifier)
        names = whole.enter(tlv.SEQUENCE)
        whole.finish()
        names.element()
        serial_number = names.integer()
        names.finish()
    except tlv.DERError as error:
        raise _unknown_key() from error
    return serial_number


def _octets(values: Mapping[str, tuple[bytes, ...]], oid: str) -> bytes | None:
    """The OCTET STRING that is the one value of an attribute; None where it is absent."""
    if oid not in values:
        return None
    if len(values[oid]) != 1:
        raise tlv.DERError("a decrypt key identifier has one value")
    cursor = Cursor.over(values[oid][0])
    octets = cursor.contents(tlv.OCTET_STRING)
    cursor.finish()
    return octets


def _capabilities(values: tuple[bytes, ...]) -> tuple[str, ...]:
    """SMIMECapabilities (RFC 8551, 2.5.2), without their parameters."""
    found: list[str] = []
    for value in values:
        capabilities = Cursor.over(value).enter(tlv.SEQUENCE)
        while not capabilities.is_at_end:
            if len(found) == MAX_CAPABILITIES:
                raise tlv.DERError(f"more than {MAX_CAPABILITIES} capabilities")
            found.append(capabilities.enter(tlv.SEQUENCE).object_identifier())
    return tuple(found)
