"""The pkcsPKIEnvelope (RFC 8894, 3.2.2): what the signer of a message says to us alone, and we to the signer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from asn1crypto.algos import RSAESOAEPParams
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.certificate_fields import fields_of
from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.cms.content_encryption import ContentCipher, RandomBytes
from cspd.x509.cms.enveloped import (
    EnvelopedContent,
    KeyTransportRecipient,
    encode_enveloped_data,
    read_enveloped_data,
)
from cspd.x509.cms.recipients import RSAES_OAEP, RSAES_PKCS1, KeyTransport, Password, Recipient
from cspd.x509.cms.values import CMSError, UnknownCipher
from cspd.x509.der import DERError, read
from cspd.x509.identifiers import subject_key_identifier
from cspd.x509.signatures import Algorithm, SignatureError, hash_of
from cspd.x509.tlv import integer
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.decryption import KeyDecryption, PasswordDecryption
from protocols.scep.errors import PKIMessageRefused, UnreadableEnvelope
from protocols.scep.limits import DEFAULT_LIMITS, Limits
from protocols.scep.messages import FailInfo

_MGF1 = "1.2.840.113549.1.1.8"
_EMPTY_LABEL = (b"", None)


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A certificate that clients envelope for, and the key to it; there are two while one replaces the other."""

    certificate: x509.Certificate
    key: KeyDecryption

    def is_named_by(self, recipient: KeyTransportRecipient) -> bool:
        """Whether a RecipientInfo names the certificate."""
        if recipient.subject_key_identifier is not None:
            return recipient.subject_key_identifier in _identifiers_of(self.certificate)
        fields = fields_of(self.certificate.public_bytes(Encoding.DER))
        return recipient.issuer_der == fields.issuer and integer(recipient.serial_number or 0) == fields.serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEnvelope:
    """What was in an envelope, and how it was closed, for the answer to be closed likewise."""

    content: bytes = field(repr=False)
    cipher: ContentCipher
    is_oaep: bool = False


async def open_envelope(
    envelope: bytes,
    recipients: Sequence[RecipientKey],
    policy: AlgorithmPolicy,
    *,
    random_bytes: RandomBytes,
    passwords: PasswordDecryption | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> OpenedEnvelope:
    """Decrypt an envelope that names one of ``recipients``, or failing that one for a password.

    Raises :class:`PKIMessageRefused`: badAlg for algorithms that are unknown or not allowed, badMessageCheck for an
    envelope for somebody else; and :class:`UnreadableEnvelope` for all that does not open, with no telling why. What
    the keys raise (:class:`cspd.refusals.Unavailable`) goes through.
    """
    try:
        enveloped = read_enveloped_data(envelope, limit=limits.message_octets)
    except UnknownCipher as error:
        raise PKIMessageRefused(FailInfo.BAD_ALG, str(error)) from error
    except CMSError as error:
        raise UnreadableEnvelope(str(error)) from error
    cipher = policy.check_cipher(enveloped)
    is_oaep = False
    for recipient in enveloped.key_transport:
        found = next((each for each in recipients if each.is_named_by(recipient)), None)
        if found is not None:
            scheme = _padding_of(recipient.algorithm)
            is_oaep = isinstance(scheme, padding.OAEP)
            content_key = await found.key.decrypt(recipient.encrypted_key, scheme)
            break
    else:
        content_key = await _unwrapped(enveloped, passwords)
    return OpenedEnvelope(
        content=_decrypted(enveloped, cipher, content_key, random_bytes), cipher=cipher, is_oaep=is_oaep
    )


async def _unwrapped(enveloped: EnvelopedContent, passwords: PasswordDecryption | None) -> bytes | None:
    if passwords is None or not enveloped.passwords:
        raise PKIMessageRefused(FailInfo.BAD_MESSAGE_CHECK, "the message is enveloped for somebody else")
    return await passwords.unwrap(enveloped.passwords[0])


def _decrypted(
    enveloped: EnvelopedContent, cipher: ContentCipher, content_key: bytes | None, random_bytes: RandomBytes
) -> bytes:
    """The content, tried with a key at random where there is none that fits.

    So what does not decrypt takes as long, and ends as, what decrypts to something else (RFC 5652, 14; RFC 3218).
    """
    substitute = random_bytes(cipher.key_octets)
    if content_key is None or len(content_key) != cipher.key_octets:
        content_key = substitute
    try:
        return enveloped.decrypt(content_key)
    except CMSError as error:
        raise UnreadableEnvelope(str(error)) from error


def _padding_of(algorithm: Algorithm) -> padding.AsymmetricPadding:
    """The padding of a keyEncryptionAlgorithm; raises :class:`PKIMessageRefused` (badAlg)."""
    if algorithm.oid == RSAES_PKCS1:
        return padding.PKCS1v15()
    if algorithm.oid != RSAES_OAEP:
        raise PKIMessageRefused(FailInfo.BAD_ALG, f"the key encryption {algorithm.oid} is not known")
    try:
        parameters = read(RSAESOAEPParams, algorithm.parameters_der or b"\x30\x00", limit=512, canonical=False)
        hash_ = hash_of(parameters["hash_algorithm"]["algorithm"].dotted)
        mask, source = parameters["mask_gen_algorithm"], parameters["p_source_algorithm"]
        mask_hash = hash_of(mask["parameters"]["algorithm"].dotted)
        if mask["algorithm"].dotted != _MGF1 or source["parameters"].native not in _EMPTY_LABEL:
            raise ValueError("another mask, or a label")
    except (DERError, SignatureError, KeyError, TypeError, ValueError) as error:
        raise PKIMessageRefused(FailInfo.BAD_ALG, "parameters of RSAES-OAEP", detail=str(error)) from error
    # SHA-1 is sound here, and the default of all libraries: OAEP does not ask of its hash that it has no collisions.
    return padding.OAEP(padding.MGF1(mask_hash), hash_, None)


def answer_recipient(
    signer_certificate: x509.Certificate, opened: OpenedEnvelope, challenge_password: str | None = None
) -> Recipient:
    """Who the answer is enveloped for: the signer of the message by its RSA key, else by the password of the request.

    (RFC 8894, 3.1.) Raises :class:`PKIMessageRefused` (badAlg) for a key that cannot decrypt, without a password.
    """
    public_key = signer_certificate.public_key()
    if isinstance(public_key, rsa.RSAPublicKey):
        return KeyTransport(public_key, signer_certificate, opened.is_oaep)
    if challenge_password:
        return Password(challenge_password.encode())
    raise PKIMessageRefused(
        FailInfo.BAD_ALG, "the answer can be encrypted neither for the signer's key nor for a password"
    )


def seal_envelope(content: bytes, recipient: Recipient, cipher: ContentCipher, random_bytes: RandomBytes) -> bytes:
    """The envelope of an answer, DER. For a password it takes a tenth of a second: call it in a thread.

    Raises :class:`PKIMessageRefused` (badAlg) for an RSA key that is too short to encrypt a key with.
    """
    try:
        return encode_enveloped_data(content, [recipient], random_bytes=random_bytes, cipher=cipher)
    except ValueError as error:
        raise PKIMessageRefused(FailInfo.BAD_ALG, "nothing can be encrypted for the signer's key") from error


def _identifiers_of(certificate: x509.Certificate) -> frozenset[bytes]:
    """What may name the key: the identifier in the certificate, and the one that RFC 5280, 4.2.1.2 makes of it."""
    made = subject_key_identifier(certificate.public_key())
    try:
        return frozenset({made, certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest})
    except (x509.ExtensionNotFound, *UNREADABLE):
        return frozenset({made})


__all__ = ["OpenedEnvelope", "RecipientKey", "answer_recipient", "open_envelope", "seal_envelope"]
