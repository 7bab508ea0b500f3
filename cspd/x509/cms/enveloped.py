"""EnvelopedData and AuthEnvelopedData (RFC 5652, 6; RFC 5083): content that recipients alone can read.

A content key made at random encrypts the content; for each recipient that key is wrapped (:mod:`.recipients`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cspd.x509 import tlv
from cspd.x509.ber import join
from cspd.x509.cms.content_encryption import (
    ContentCipher,
    RandomBytes,
    cipher_of,
    decrypt_content,
    encrypt_content,
)
from cspd.x509.cms.recipients import Recipient
from cspd.x509.cms.signed import DEFAULT_LIMIT, encode_content_info, open_content_info
from cspd.x509.cms.values import AUTHENTICATED_ENVELOPED_DATA, DATA, ENVELOPED_DATA, CMSError
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, SignatureError, read_algorithm
from cspd.x509.tlv import DERError

MAX_RECIPIENTS = 16

_VERSION_0, _VERSION_2, _VERSION_3 = tlv.integer(0), tlv.integer(2), tlv.integer(3)
_CONTEXT_0, _CONTEXT_0_IN_PIECES = 0x80, 0xA0
_ORIGINATOR_INFO, _ATTRIBUTES, _PASSWORD = 0xA0, 0xA1, 0xA3


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTransportRecipient:
    """A recipient of a message who holds an RSA key."""

    issuer_der: bytes | None
    serial_number: int | None
    subject_key_identifier: bytes | None
    algorithm: Algorithm
    encrypted_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRecipient:
    """A recipient of a message who knows a password (RFC 3211)."""

    derivation: Algorithm | None
    wrapping: Algorithm
    encrypted_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopedContent:
    """A message as it was read; nothing is decrypted yet."""

    key_transport: tuple[KeyTransportRecipient, ...]
    passwords: tuple[PasswordRecipient, ...]
    content_type: str
    """Dotted, of what is inside."""
    algorithm: Algorithm
    ciphertext: bytes = field(repr=False)
    tag: bytes = b""
    authenticated_attributes_der: bytes = b""

    @property
    def cipher(self) -> ContentCipher:
        """The content cipher; raises :class:`CMSError` for one we do not know."""
        return cipher_of(self.algorithm)

    def decrypt(self, content_key: bytes) -> bytes:
        """The content; raises :class:`CMSError`, the same whatever does not fit."""
        return decrypt_content(
            self.algorithm, content_key, self.ciphertext, self.tag, self.authenticated_attributes_der
        )


def encode_enveloped_data(
    content: bytes,
    recipients: Sequence[Recipient],
    *,
    random_bytes: RandomBytes,
    cipher: ContentCipher = ContentCipher.AES_256_CBC,
    content_type: str = DATA,
) -> bytes:
    """A ContentInfo with the encrypted content, DER: an AuthEnvelopedData for an authenticated cipher."""
    outer, enveloped_der = encode_enveloped(
        content, recipients, random_bytes=random_bytes, cipher=cipher, content_type=content_type
    )
    return encode_content_info(outer, enveloped_der)


def encode_enveloped(
    content: bytes,
    recipients: Sequence[Recipient],
    *,
    random_bytes: RandomBytes,
    cipher: ContentCipher = ContentCipher.AES_256_CBC,
    content_type: str = DATA,
) -> tuple[str, bytes]:
    """The type and the bare EnvelopedData or AuthEnvelopedData, DER, as CMP has it without a ContentInfo around."""
    content_key = random_bytes(cipher.key_octets)
    infos = [recipient.wrap(content_key, random_bytes) for recipient in recipients]
    encrypted = encrypt_content(cipher, content_key, content, random_bytes)
    info = tlv.sequence(
        tlv.object_identifier(content_type),
        encrypted.algorithm_der,
        tlv.element(_CONTEXT_0, encrypted.ciphertext),
    )
    recipient_infos = tlv.element(tlv.SET, b"".join(sorted(infos)))
    if cipher.is_authenticated:
        tag = tlv.element(tlv.OCTET_STRING, encrypted.tag)
        return AUTHENTICATED_ENVELOPED_DATA, tlv.sequence(_VERSION_0, recipient_infos, info, tag)
    return ENVELOPED_DATA, tlv.sequence(_version(infos), recipient_infos, info)


def _version(infos: Sequence[bytes]) -> bytes:
    """RFC 5652, 6.1: 3 with a password, 0 if all are key transport by issuer and serial number, else 2."""
    if any(info[0] == 0xA3 for info in infos):
        return _VERSION_3
    plain = all(info[0] == tlv.SEQUENCE and _VERSION_0 in info[:8] for info in infos)
    return _VERSION_0 if plain else _VERSION_2


def read_enveloped_data(data: bytes, *, limit: int = DEFAULT_LIMIT) -> EnvelopedContent:
    """Read a ContentInfo with an EnvelopedData or AuthEnvelopedData, BER or DER; raises :class:`CMSError`."""
    try:
        kind, content = open_content_info(data, limit=limit)
        if kind not in (ENVELOPED_DATA, AUTHENTICATED_ENVELOPED_DATA):
            raise CMSError(f"a content of type {kind}, where EnvelopedData must be")
        return _enveloped(content.enter(tlv.SEQUENCE), is_authenticated=kind == AUTHENTICATED_ENVELOPED_DATA)
    except (DERError, SignatureError) as error:
        raise CMSError(f"not an EnvelopedData: {error}") from error


def _enveloped(cursor: Cursor, *, is_authenticated: bool) -> EnvelopedContent:
    cursor.integer()  # version
    cursor.enter_optional(_ORIGINATOR_INFO)
    recipients = list(cursor.enter(tlv.SET).elements())
    if len(recipients) > MAX_RECIPIENTS:
        raise CMSError(f"more than {MAX_RECIPIENTS} recipients")
    info = cursor.enter(tlv.SEQUENCE)
    content_type, algorithm = info.object_identifier(), read_algorithm(info.element())
    ciphertext = _encrypted_content(info)
    attributes = cursor.enter_optional(_ATTRIBUTES)
    attributes_der = b"" if attributes is None else tlv.element(tlv.SET, b"".join(sorted(attributes.elements())))
    tag = cursor.contents(tlv.OCTET_STRING) if is_authenticated else b""
    if cipher_of(algorithm).is_authenticated != is_authenticated:
        raise CMSError("the cipher does not belong into this envelope")
    return EnvelopedContent(
        key_transport=tuple(_key_transport(each) for each in recipients if each[0] == tlv.SEQUENCE),
        passwords=tuple(_password(each) for each in recipients if each[0] == _PASSWORD),
        content_type=content_type,
        algorithm=algorithm,
        ciphertext=ciphertext,
        tag=tag,
        authenticated_attributes_der=attributes_der if is_authenticated else b"",
    )


def _encrypted_content(info: Cursor) -> bytes:
    """``[0] IMPLICIT OCTET STRING``, in one piece or, from writers that stream, in several."""
    if info.peek() == _CONTEXT_0_IN_PIECES:
        return join(info.contents(_CONTEXT_0_IN_PIECES))
    return info.contents(_CONTEXT_0)


def _key_transport(recipient_der: bytes) -> KeyTransportRecipient:
    cursor = Cursor.over(recipient_der, is_well_formed=True).enter(tlv.SEQUENCE)
    cursor.integer()  # version
    issuer_der = serial_number = identifier = None
    if cursor.peek() == _CONTEXT_0:
        identifier = cursor.contents(_CONTEXT_0)
    else:
        name = cursor.enter(tlv.SEQUENCE)
        issuer_der, serial_number = name.element(), name.integer()
    algorithm, encrypted_key = read_algorithm(cursor.element()), cursor.contents(tlv.OCTET_STRING)
    cursor.finish()
    return KeyTransportRecipient(
        issuer_der=issuer_der,
        serial_number=serial_number,
        subject_key_identifier=identifier,
        algorithm=algorithm,
        encrypted_key=encrypted_key,
    )


def _password(recipient_der: bytes) -> PasswordRecipient:
    cursor = Cursor.over(recipient_der, is_well_formed=True).enter(_PASSWORD)
    cursor.integer()  # version
    derivation = None
    if cursor.peek() == _CONTEXT_0_IN_PIECES:
        derivation = read_algorithm(tlv.element(tlv.SEQUENCE, cursor.contents(_CONTEXT_0_IN_PIECES)))
    wrapping, encrypted_key = read_algorithm(cursor.element()), cursor.contents(tlv.OCTET_STRING)
    cursor.finish()
    return PasswordRecipient(derivation=derivation, wrapping=wrapping, encrypted_key=encrypted_key)


__all__ = [
    "EnvelopedContent",
    "KeyTransportRecipient",
    "PasswordRecipient",
    "encode_enveloped",
    "encode_enveloped_data",
    "read_enveloped_data",
]
