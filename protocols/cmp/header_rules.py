"""What must hold of a message before anybody looks at what it asks (RFC 9483, 3.1, 3.3 and 3.5).

Pure checks; each raises :class:`protocols.cmp.errors.PKIMessageRejected` with the bit that RFC 9483 gives, or returns
nothing. :func:`check_first` and :func:`check_follow_up` are all of them that need no certificate and no secret;
:func:`check_signer` comes when the protection certificate is known.
"""

from __future__ import annotations

import hmac
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.crmf.messages import EncryptedKey
from protocols.cmp import info_types
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.general_names import shared_secret_reference, subject_of
from protocols.cmp.messages import (
    CMP2000,
    CMP2021,
    NULL_DN_DER,
    BodyType,
    CertConfirmContent,
    CertRepMessage,
    PKIBody,
    PKIHeader,
    PKIMessage,
    POPODecKeyChallContent,
)
from protocols.cmp.protection import ProtectionKind, protection_kind
from protocols.cmp.status import PKIFailureInfo

TRANSACTION_ID_OCTETS = 16
MIN_NONCE_OCTETS = 16

FIRST_BODIES = frozenset(
    {
        BodyType.IR,
        BodyType.CR,
        BodyType.KUR,
        BodyType.P10CR,
        BodyType.RR,
        BodyType.CCR,
        BodyType.GENM,
        BodyType.NESTED,
    }
)
"""What a client may begin a transaction with (RFC 9483, 4 and 5.2.2; RFC 9810, 5.3.11)."""
FOLLOW_UP_BODIES = frozenset({BodyType.CERT_CONF, BodyType.POLL_REQ, BodyType.POPDECR, BodyType.ERROR, BodyType.NESTED})
"""What a client may go on with."""
_MAY_ASK_IMPLICIT_CONFIRM = frozenset({BodyType.IR, BodyType.CR, BodyType.KUR, BodyType.P10CR, BodyType.CCR})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPolicy:
    """What is for the operator to say."""

    time_tolerance: timedelta = timedelta(minutes=5)
    """How far messageTime may be from our time, both ways."""
    recipients_der: Container[bytes] | None = None
    """The GeneralNames that we are, beside the empty one; None accepts all."""


@dataclass(frozen=True, slots=True)
class PreviousAnswer:
    """What a transaction said last, for the rules of the message that follows it."""

    transaction_id: bytes
    sender_nonce: bytes
    """Of our answer."""
    protection: ProtectionKind
    """Of the client's messages."""


DEFAULT_HEADER_POLICY = HeaderPolicy()


def check_first(message: PKIMessage, now: datetime, policy: HeaderPolicy = DEFAULT_HEADER_POLICY) -> None:
    """Check a message that begins a transaction; that the transactionID is new is for who keeps them to check.

    ``transactionIdInUse`` is raised by :func:`check_unused`.
    """
    _check_any(message, now, policy)
    check_body(message.body.type, FIRST_BODIES)
    transaction_id = message.header.transaction_id
    if transaction_id is None or len(transaction_id) != TRANSACTION_ID_OCTETS:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_DATA_FORMAT, f"a new transactionID must have {8 * TRANSACTION_ID_OCTETS} bits"
        )
    if message.header.recip_nonce is not None:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_RECIPIENT_NONCE, "the first message of a transaction has no recipNonce"
        )


def check_follow_up(
    message: PKIMessage, now: datetime, previous: PreviousAnswer, policy: HeaderPolicy = DEFAULT_HEADER_POLICY
) -> None:
    """Check a message that goes on with a transaction."""
    _check_any(message, now, policy)
    check_body(message.body.type, FOLLOW_UP_BODIES)
    header = message.header
    if header.transaction_id != previous.transaction_id:
        raise PKIMessageRejected(PKIFailureInfo.BAD_DATA_FORMAT, "not the transactionID of this transaction")
    if not hmac.compare_digest(header.recip_nonce or b"", previous.sender_nonce):
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_RECIPIENT_NONCE, "recipNonce is not the senderNonce of the last answer"
        )
    if protection_kind(header) is not previous.protection:
        raise PKIMessageRejected(
            PKIFailureInfo.WRONG_INTEGRITY, "the messages of a transaction are protected in one way"
        )


def check_unused(*, is_in_use: bool) -> None:
    """Refuse a first message whose transactionID belongs to another transaction."""
    if is_in_use:
        raise PKIMessageRejected(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")


def check_version(header: PKIHeader, body: PKIBody) -> None:
    """pvno is 2 or 3, and 3 where the body has what version 2 does not know (RFC 9810, 7)."""
    if header.pvno not in (CMP2000, CMP2021):
        raise PKIMessageRejected(PKIFailureInfo.UNSUPPORTED_VERSION, "pvno must be 2 or 3")
    if header.pvno != CMP2021 and needed_version(body) == CMP2021:
        raise PKIMessageRejected(PKIFailureInfo.UNSUPPORTED_VERSION, "the content of this message needs pvno 3")


def needed_version(body: PKIBody) -> int:
    """The pvno of a message with this body: 3 for ``hashAlg`` and EnvelopedData, 2 for others (RFC 9810, 7)."""
    content = body.content
    if isinstance(content, CertConfirmContent):
        return CMP2021 if any(status.hash_alg is not None for status in content.statuses) else CMP2000
    if isinstance(content, POPODecKeyChallContent):
        return CMP2021 if any(each.encrypted_rand_der for each in content.challenges) else CMP2000
    if isinstance(content, CertRepMessage):
        pairs = [response.certified_key_pair for response in content.response]
        keys = [key for pair in pairs if pair is not None for key in (pair.encrypted_cert, pair.private_key)]
        return CMP2021 if any(isinstance(key, EncryptedKey) and key.is_enveloped_data for key in keys) else CMP2000
    return CMP2000


def check_message_time(header: PKIHeader, now: datetime, tolerance: timedelta) -> None:
    """messageTime, where it is, is about ``now`` (UTC)."""
    if header.message_time is not None and abs(header.message_time - now) > tolerance:
        raise PKIMessageRejected(PKIFailureInfo.BAD_TIME, "messageTime is too far from the time of this server")


def check_body(body_type: BodyType, allowed: Container[BodyType]) -> None:
    """The message is one that a client may send now."""
    if body_type not in allowed:
        raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "a client does not send such a message here")


def check_protection_fields(message: PKIMessage) -> None:
    """protectionAlg and protection are both there, or neither is; a known algorithm; who made it can be found.

    A MAC needs a reference to the secret: senderKID, or a common name in sender. A message without any protection
    passes: whether it may be so is for the service to say, by :func:`require_protection`.
    """
    header = message.header
    if (header.protection_alg is None) != (message.protection is None):
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_MESSAGE_CHECK, "protection and protectionAlg are there together, or not at all"
        )
    if protection_kind(header) is ProtectionKind.MAC and shared_secret_reference(header) is None:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_MESSAGE_CHECK, "senderKID or sender must say which secret protects the message"
        )


def require_protection(message: PKIMessage) -> None:
    """Refuse a message without protection."""
    if message.protection is None:
        raise PKIMessageRejected(PKIFailureInfo.BAD_MESSAGE_CHECK, "the message is not protected")


def check_recipient(header: PKIHeader, recipients_der: Container[bytes] | None) -> None:
    """The message is for us, or for nobody in particular."""
    if recipients_der is None or header.recipient_der == NULL_DN_DER or header.recipient_der in recipients_der:
        return
    raise PKIMessageRejected(PKIFailureInfo.WRONG_AUTHORITY, "recipient is another authority")


def check_implicit_confirm(message: PKIMessage) -> None:
    """implicitConfirm is NULL, without confirmWaitTime, and asked for with a request for certificates only."""
    asked = {info.info_type for info in message.header.general_info}
    if {info_types.IMPLICIT_CONFIRM, info_types.CONFIRM_WAIT_TIME} <= asked:
        raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "implicitConfirm and confirmWaitTime exclude each other")
    for info in message.header.general_info:
        if info.info_type != info_types.IMPLICIT_CONFIRM:
            continue
        if info.info_value_der != tlv.NULL:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "the value of implicitConfirm is NULL")
        if message.body.type not in _MAY_ASK_IMPLICIT_CONFIRM:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "implicitConfirm goes with requests for certificates")


def protection_certificate(message: PKIMessage) -> x509.Certificate:
    """The first of extraCerts, which a signature is verified with (RFC 9483, 3.3).

    Raises ``badMessageCheck`` without one, and ``badDataFormat`` for one that is no certificate.
    """
    if not message.extra_certs_der:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_MESSAGE_CHECK, "extraCerts must begin with the certificate that protects the message"
        )
    try:
        return x509.load_der_x509_certificate(message.extra_certs_der[0])
    except UNREADABLE as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_DATA_FORMAT, "the first of extraCerts is not a certificate", detail=str(error)
        ) from error


def check_signer(header: PKIHeader, certificate: x509.Certificate) -> None:
    """sender and senderKID name the protection certificate, and its key may sign (RFC 9483, 3.1, 3.2 and 3.5).

    Raises ``badMessageCheck`` for a name or identifier that is another's, ``signerNotTrusted`` for a key that may not
    sign. Whether the certificate is to be trusted is not checked here.
    """
    try:
        subject = certificate.subject
        extensions = certificate.extensions
    except UNREADABLE as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_DATA_FORMAT, "the protection certificate cannot be read", detail=str(error)
        ) from error
    if subject_of(header.sender_der) != subject:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_MESSAGE_CHECK, "sender is not the subject of the protection certificate"
        )
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            if header.sender_kid is not None and header.sender_kid != value.digest:
                raise PKIMessageRejected(
                    PKIFailureInfo.BAD_MESSAGE_CHECK, "senderKID is not that of the protection certificate"
                )
        elif isinstance(value, x509.KeyUsage) and not value.digital_signature:
            raise PKIMessageRejected(
                PKIFailureInfo.SIGNER_NOT_TRUSTED, "the key of the protection certificate may not sign"
            )


def _check_any(message: PKIMessage, now: datetime, policy: HeaderPolicy) -> None:
    header = message.header
    check_version(header, message.body)
    if header.sender_nonce is None or len(header.sender_nonce) < MIN_NONCE_OCTETS:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_SENDER_NONCE, f"senderNonce must have {8 * MIN_NONCE_OCTETS} bits or more"
        )
    check_message_time(header, now, policy.time_tolerance)
    check_recipient(header, policy.recipients_der)
    check_protection_fields(message)
    check_implicit_confirm(message)
