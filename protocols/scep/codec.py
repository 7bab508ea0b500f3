"""pkiMessage to value and back (RFC 8894, 3): a SignedData of one signer, whose signed attributes tell the transaction.

What is in the envelope is another step (:mod:`.envelope`, :mod:`.message_data`), and so is whether the signature fits
(:mod:`.verification`).

The attributes, all with one value, are PrintableString (``transactionID``, ``messageType``, ``pkiStatus``,
``failInfo``), OCTET STRING (the nonces) and UTF8String (``failInfoText``). Attributes that are not known are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives import hashes

from cspd.x509 import tlv
from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data
from cspd.x509.cms.signing import SignedDataBuilder
from cspd.x509.cms.values import DATA, SIGNING_TIME, CMSError
from cspd.x509.signatures import SignatureError, read_algorithm
from protocols.scep.errors import DecodeError
from protocols.scep.limits import DEFAULT_LIMITS, Limits
from protocols.scep.messages import FailInfo, MessageType, PKIMessage, PKIStatus, ReceivedMessage

_VERISIGN = "2.16.840.1.113733.1.9"
MESSAGE_TYPE = f"{_VERISIGN}.2"
PKI_STATUS = f"{_VERISIGN}.3"
FAIL_INFO = f"{_VERISIGN}.4"
SENDER_NONCE = f"{_VERISIGN}.5"
RECIPIENT_NONCE = f"{_VERISIGN}.6"
TRANSACTION_ID = f"{_VERISIGN}.7"
FAIL_INFO_TEXT = "1.3.6.1.5.5.7.24.1"

NONCE_OCTETS = 16
"""Of the nonces that we make (RFC 8894, 3.2.1.5)."""

_PRINTABLE_STRING = 0x13
_UTC_TIME, _GENERALIZED_TIME = b"\x17", b"\x18"
_RSA_WITH_HASH = "1.2.840.113549.1.1."
_RSA_ENCRYPTION_DER = tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.1"), tlv.NULL)

E = TypeVar("E", bound=Enum)


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> ReceivedMessage:
    """Read a pkiMessage, BER or DER; raises :class:`DecodeError`. Nothing is verified yet."""
    try:
        signed_data = read_signed_data(data, limit=limits.message_octets)
        if signed_data.content_type != DATA:
            raise DecodeError("what is signed is no data")
        if len(signed_data.signers) != 1:
            raise DecodeError("not exactly one signer")
        [signer_info] = signed_data.signers
        signer_certificate = find_certificate(signer_info, certificates_of(signed_data))
        message = _message(signer_info.signed_attributes, signed_data.content, limits)
    except DecodeError:
        raise
    except ValueError as error:  # of CMS, of DER, and of messages that do not exist
        raise DecodeError(f"not a pkiMessage: {error}") from error
    return ReceivedMessage(
        message=message, signer_info=signer_info, signer_certificate=signer_certificate, signed_data=signed_data
    )


def _message(attributes: Mapping[str, tuple[bytes, ...]], content: bytes | None, limits: Limits) -> PKIMessage:
    message_type = _number(attributes, MESSAGE_TYPE, MessageType)
    transaction_id = _printable(attributes, TRANSACTION_ID, limits.transaction_id_octets)
    sender_nonce = _nonce(attributes, SENDER_NONCE, limits)
    if message_type is None or transaction_id is None or sender_nonce is None:
        raise DecodeError("without messageType, transactionID or senderNonce")
    # Clients repeat attributes of the answer that they had before (pkiStatus in a CertPoll); they mean nothing there.
    is_answer = message_type is MessageType.CERT_REP
    status = _number(attributes, PKI_STATUS, PKIStatus) if is_answer else None
    fail_info = _number(attributes, FAIL_INFO, FailInfo) if status is PKIStatus.FAILURE else None
    fail_info_text = _utf8(attributes, FAIL_INFO_TEXT, limits.fail_info_text_octets) if fail_info is not None else None
    return PKIMessage(
        message_type=message_type,
        transaction_id=transaction_id,
        sender_nonce=sender_nonce,
        recipient_nonce=_nonce(attributes, RECIPIENT_NONCE, limits),
        pki_status=status,
        fail_info=fail_info,
        fail_info_text=fail_info_text,
        signing_time=_signing_time(attributes),
        # A content of no octets and none at all are the same; there are servers that send either.
        pkcs_pki_envelope=content or None,
    )


def _value(attributes: Mapping[str, tuple[bytes, ...]], oid: str, identifier: int, limit: int) -> bytes | None:
    """The contents of the only value of an attribute; None where there is no such attribute."""
    values = attributes.get(oid)
    if values is None:
        return None
    if len(values) != 1:
        raise DecodeError(f"the attribute {oid} has {len(values)} values")
    start, stop = tlv.read_only(values[0], 0, len(values[0]), identifier)
    if not 0 < stop - start <= limit:
        raise DecodeError(f"the attribute {oid} has none or more than {limit} octets")
    return values[0][start:stop]


def _printable(attributes: Mapping[str, tuple[bytes, ...]], oid: str, limit: int) -> str | None:
    """Text of a PrintableString; all of visible ASCII counts, for devices put base64url and worse into it."""
    octets = _value(attributes, oid, _PRINTABLE_STRING, limit)
    if octets is None:
        return None
    if not all(0x20 <= octet < 0x7F for octet in octets):
        raise DecodeError(f"the attribute {oid} is not printable")
    return octets.decode("ascii")


def _number(attributes: Mapping[str, tuple[bytes, ...]], oid: str, kind: type[E]) -> E | None:
    text = _printable(attributes, oid, 2)
    if text is None:
        return None
    for member in kind:
        if str(member.value) == text:
            return member
    raise DecodeError(f"a {kind.__name__} of {text!r}")


def _nonce(attributes: Mapping[str, tuple[bytes, ...]], oid: str, limits: Limits) -> bytes | None:
    return _value(attributes, oid, tlv.OCTET_STRING, limits.nonce_octets)


def _utf8(attributes: Mapping[str, tuple[bytes, ...]], oid: str, limit: int) -> str | None:
    octets = _value(attributes, oid, tlv.UTF8_STRING, limit)
    return None if octets is None else octets.decode()


def _signing_time(attributes: Mapping[str, tuple[bytes, ...]]) -> datetime | None:
    """The signingTime, of which a device without clock may have none, or none that means anything."""
    values = attributes.get(SIGNING_TIME, ())
    value = values[0] if len(values) == 1 else b""
    text = value[2:].decode("latin-1")
    if value[:1] == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text  # RFC 5652, 11.3
    elif value[:1] != _GENERALIZED_TIME:
        return None
    if len(text) != len("YYYYMMDDhhmmssZ"):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class SigningKey(Protocol):
    """What signs messages; :class:`cspd.keys.signer.Signer` does."""

    @property
    def algorithm_der(self) -> bytes:
        """The AlgorithmIdentifier of the signatures, DER."""
        ...

    async def sign(self, octets: bytes) -> bytes:
        """The signature of these octets."""
        ...


class MessageSigner:
    """Signs pkiMessages with one key and one digest."""

    def __init__(
        self,
        certificate_der: bytes,
        key: SigningKey,
        digest: hashes.HashAlgorithm,
        more_certificates_der: Iterable[bytes] = (),
    ) -> None:
        """``digest`` is the one that ``key`` signs with; ``more_certificates_der`` go into each message."""
        self._key = key
        self._builder = SignedDataBuilder(certificate_der, digest, _signature_algorithm(key.algorithm_der))
        self._more_certificates_der = tuple(more_certificates_der)

    async def sign(self, message: PKIMessage) -> bytes:
        """A pkiMessage, DER; raises what the key raises."""
        # What gives nothing has no envelope (RFC 8894, 3.3.2.2), but a content of no octets: PKCS7_verify of OpenSSL,
        # and with it certmonger and sscep, takes a message without content for one whose content is elsewhere.
        content = message.pkcs_pki_envelope or b""
        attributes_der = self._builder.signed_attributes(
            DATA, content, _attributes_of(message), signing_time=message.signing_time
        )
        return await self._signed(content, attributes_der)

    async def sign_data(self, content: bytes) -> bytes:
        """A SignedData around anything, DER, as the answer to GetNextCACert is one (RFC 8894, 4.7.1)."""
        return await self._signed(content, self._builder.signed_attributes(DATA, content))

    async def _signed(self, content: bytes, attributes_der: bytes) -> bytes:
        signature = await self._key.sign(attributes_der)
        return self._builder.message(DATA, content, attributes_der, signature, self._more_certificates_der)


def _signature_algorithm(algorithm_der: bytes) -> bytes:
    """rsaEncryption for all of RSA with PKCS#1 v1.5 (RFC 3370, 3.2): devices of the time of PKCS#7 know no other."""
    try:
        oid = read_algorithm(algorithm_der).oid
    except SignatureError as error:
        raise CMSError(str(error)) from error
    is_pkcs1 = oid.startswith(_RSA_WITH_HASH) and oid.removeprefix(_RSA_WITH_HASH) in ("5", "11", "12", "13", "14")
    return _RSA_ENCRYPTION_DER if is_pkcs1 else algorithm_der


def _attributes_of(message: PKIMessage) -> dict[str, list[bytes]]:
    """The attributes of a message, by object identifier, DER."""
    attributes = {
        MESSAGE_TYPE: [_number_text(message.message_type)],
        TRANSACTION_ID: [tlv.element(_PRINTABLE_STRING, message.transaction_id.encode("ascii"))],
        SENDER_NONCE: [tlv.element(tlv.OCTET_STRING, message.sender_nonce)],
    }
    if message.recipient_nonce is not None:
        attributes[RECIPIENT_NONCE] = [tlv.element(tlv.OCTET_STRING, message.recipient_nonce)]
    if message.pki_status is not None:
        attributes[PKI_STATUS] = [_number_text(message.pki_status)]
    if message.fail_info is not None:
        attributes[FAIL_INFO] = [_number_text(message.fail_info)]
    if message.fail_info_text is not None:
        attributes[FAIL_INFO_TEXT] = [tlv.element(tlv.UTF8_STRING, message.fail_info_text.encode())]
    return attributes


def _number_text(number: Enum) -> bytes:
    return tlv.element(_PRINTABLE_STRING, str(number.value).encode("ascii"))


__all__ = ["NONCE_OCTETS", "MessageSigner", "SigningKey", "decode"]
