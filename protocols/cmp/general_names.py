"""Who sender and recipient are: GeneralNames that are directory names nearly always (RFC 9810, 5.1.1)."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.x509 import tlv
from cspd.x509.certificate_paths import UNREADABLE
from protocols.cmp.messages import PKIHeader

_DIRECTORY_NAME = 0xA4


def directory_name(subject: x509.Name) -> bytes:
    """The GeneralName, DER, with this directoryName."""
    return tlv.element(_DIRECTORY_NAME, subject.public_bytes())


def subject_of(general_name_der: bytes) -> x509.Name | None:
    """The Name in a GeneralName, DER; None for a name of another kind and for one that cannot be read."""
    try:
        start, end = tlv.read_only(general_name_der, 0, len(general_name_der), _DIRECTORY_NAME)
        return x509.Name.from_bytes(general_name_der[start:end])
    except UNREADABLE:
        return None


def shared_secret_reference(header: PKIHeader) -> bytes | None:
    """What names the secret of a MAC: senderKID, or else the common name in sender in UTF-8 (RFC 9483, 3.1)."""
    if header.sender_kid is not None:
        return header.sender_kid
    subject = subject_of(header.sender_der)
    for attribute in [] if subject is None else subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        if isinstance(attribute.value, str):
            return attribute.value.encode()
    return None
