"""A client of the Simple Certificate Enrolment Protocol, step by step; sends nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, NameOID

from cspd.keys.signer import SignatureHash, Signer
from cspd.keys.values import KeyReference, PrivateKey
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.recipients import KeyTransport, Recipient
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.codec import NONCE_OCTETS, MessageSigner, decode
from protocols.scep.decryption import PasswordDecryption, StoredKeyDecryption
from protocols.scep.envelope import RecipientKey, open_envelope, seal_envelope
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import MessageData, MessageType, PKIMessage, PKIStatus
from protocols.scep.verification import verify
from tests.support.keys import InlineKeys
from tests.support.running import result_of

ClientKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
EVERYTHING = AlgorithmPolicy(allow_sha1=True, allow_des3=True, allow_des=True)


def name_of(common_name: str) -> x509.Name:
    """A name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate_of(
    key: ClientKey, common_name: str, *, issuer: tuple[x509.Name, ClientKey] | None = None, serial_number: int = 1
) -> x509.Certificate:
    """A certificate of the key; self-signed without an issuer."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    name = name_of(common_name)
    issuer_name, issuer_key = issuer or (name, key)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer_name).public_key(key.public_key())
    builder = builder.serial_number(serial_number).not_valid_before(now).not_valid_after(now + timedelta(days=3650))
    return builder.sign(issuer_key, hashes.SHA256())


def csr_of(
    key: ClientKey,
    common_name: str,
    challenge_password: str | None = None,
    names: Sequence[x509.GeneralName] = (),
) -> bytes:
    """A certification request, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(common_name))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if challenge_password is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge_password.encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def stored(key: PrivateKey) -> tuple[InlineKeys, KeyReference]:
    """The key where our own code finds it."""
    keys, reference = InlineKeys(), KeyReference("software", "00")
    keys.private_keys[reference] = key
    return keys, reference


def signer_with(key: PrivateKey, certificate: x509.Certificate, digest: SignatureHash) -> MessageSigner:
    """Signs messages with the key."""
    keys, reference = stored(key)
    signer = Signer(keys, reference, key.public_key(), digest)
    return MessageSigner(certificate.public_bytes(Encoding.DER), signer, digest)


def recipient_key(key: PrivateKey, certificate: x509.Certificate) -> RecipientKey:
    """Opens what was enveloped for the certificate."""
    return RecipientKey(certificate, StoredKeyDecryption(*stored(key)))


@dataclass(frozen=True, kw_only=True)
class ScepClient:
    """A device with a key, its certificate (self-signed at first), and the certificate to envelope for."""

    key: ClientKey
    certificate: x509.Certificate
    ra_certificate: x509.Certificate
    digest: SignatureHash = field(default_factory=hashes.SHA256)
    cipher: ContentCipher = ContentCipher.AES_128_CBC
    oaep: bool = False

    @property
    def transaction_id(self) -> str:
        """The hash of the public key (RFC 8894, 3.2.1.1)."""
        info = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(info).hexdigest().upper()

    def enrollment(
        self,
        csr_der: bytes,
        message_type: MessageType = MessageType.PKCS_REQ,
        *,
        signing_time: datetime | None = None,
    ) -> bytes:
        """A PKCSReq, RenewalReq or UpdateReq, DER; the request in it may be anything."""
        return self.send(message_type, csr_der, signing_time=signing_time)

    def ask(self, message_type: MessageType, data: MessageData, *, transaction_id: str | None = None) -> bytes:
        """Any message, DER."""
        return self.send(message_type, encode_message_data(data), transaction_id=transaction_id)

    def send(
        self,
        message_type: MessageType,
        content: bytes,
        recipient: Recipient | None = None,
        *,
        signing_time: datetime | None = None,
        transaction_id: str | None = None,
    ) -> bytes:
        """A message with any content in its envelope, DER."""
        public_key = self.ra_certificate.public_key()
        if recipient is None:
            assert isinstance(public_key, rsa.RSAPublicKey)
            recipient = KeyTransport(public_key, self.ra_certificate, self.oaep)
        envelope = seal_envelope(content, recipient, self.cipher, os.urandom)
        return self.sign(message_type, envelope, signing_time=signing_time, transaction_id=transaction_id)

    def sign(
        self,
        message_type: MessageType,
        envelope: bytes,
        *,
        signing_time: datetime | None = None,
        transaction_id: str | None = None,
    ) -> bytes:
        """A message with any envelope, DER."""
        message = PKIMessage(
            message_type=message_type,
            transaction_id=transaction_id or self.transaction_id,
            sender_nonce=os.urandom(NONCE_OCTETS),
            signing_time=signing_time,
            pkcs_pki_envelope=envelope,
        )
        return result_of(signer_with(self.key, self.certificate, self.digest).sign(message))

    def read(
        self, answer_der: bytes, passwords: PasswordDecryption | None = None
    ) -> tuple[PKIMessage, MessageData | None]:
        """A CertRep, and what it gives; fails unless the registration authority signed it."""
        received = decode(answer_der)
        assert received.signer_certificate == self.ra_certificate
        verify(received, EVERYTHING)
        message = received.message
        assert message.message_type is MessageType.CERT_REP
        if message.pki_status is not PKIStatus.SUCCESS:
            return message, None
        assert message.pkcs_pki_envelope is not None
        recipients = [recipient_key(self.key, self.certificate)]
        opened = result_of(
            open_envelope(
                message.pkcs_pki_envelope, recipients, EVERYTHING, random_bytes=os.urandom, passwords=passwords
            )
        )
        return message, decode_message_data(MessageType.CERT_REP, opened.content)


__all__ = ["ScepClient", "certificate_of", "csr_of", "recipient_key", "signer_with"]
