"""Controls (RFC 4211, 6): what is known of them is read, the others are kept as they are."""

from __future__ import annotations

from collections.abc import Callable

from cspd.x509 import tlv
from cspd.x509.crmf.fields import (
    read_enumerated,
    read_general_name,
    read_integer,
    read_public_key,
    read_text,
    sequence_of,
)
from cspd.x509.crmf.messages import (
    AttributeTypeAndValue,
    Authenticator,
    CertId,
    Control,
    CRMFError,
    EncryptedKey,
    KeyGenParameters,
    OldCertID,
    PKIArchiveOptions,
    PKIPublicationInfo,
    ProtocolEncrKey,
    PublicationAction,
    PublicationMethod,
    RegToken,
    SinglePubInfo,
)
from cspd.x509.cursor import Cursor

MAX_ATTRIBUTES = 16
"""Controls, registration informations, places of publication: of each."""
REG_TOKEN = "1.3.6.1.5.5.7.5.1.1"  # noqa: S105  # an object identifier
AUTHENTICATOR = "1.3.6.1.5.5.7.5.1.2"
PKI_PUBLICATION_INFO = "1.3.6.1.5.5.7.5.1.3"
PKI_ARCHIVE_OPTIONS = "1.3.6.1.5.5.7.5.1.4"
OLD_CERT_ID = "1.3.6.1.5.5.7.5.1.5"
PROTOCOL_ENCR_KEY = "1.3.6.1.5.5.7.5.1.6"


def read_attribute(cursor: Cursor) -> AttributeTypeAndValue:
    """An AttributeTypeAndValue (RFC 4211, 3), whatever it means."""
    inner = cursor.enter(tlv.SEQUENCE)
    attribute = AttributeTypeAndValue(inner.object_identifier(), inner.element())
    inner.finish()
    return attribute


def read_control(cursor: Cursor) -> Control:
    """An AttributeTypeAndValue that is a control, known or not."""
    attribute = read_attribute(cursor)
    read = _CONTROLS.get(attribute.type)
    if read is None:
        return attribute
    value = Cursor.over(attribute.value_der)
    control = read(value)
    value.finish()
    return control


def _publication_info(cursor: Cursor) -> PKIPublicationInfo:
    info = cursor.enter(tlv.SEQUENCE)
    action = read_enumerated(read_integer(info), PublicationAction)
    places = info.enter_optional(tlv.SEQUENCE)
    info.finish()
    return PKIPublicationInfo(action, () if places is None else sequence_of(places, MAX_ATTRIBUTES, _single_pub_info))


def _single_pub_info(cursor: Cursor) -> SinglePubInfo:
    info = cursor.enter(tlv.SEQUENCE)
    method = read_enumerated(read_integer(info), PublicationMethod)
    location = None if info.is_at_end else read_general_name(info.element())
    info.finish()
    return SinglePubInfo(method, location)


def _archive_options(cursor: Cursor) -> PKIArchiveOptions:
    match cursor.peek():
        case 0xA0:
            inner = cursor.enter(0xA0)
            if inner.peek() == 0xA0:
                key = EncryptedKey(tlv.element(tlv.SEQUENCE, inner.contents(0xA0)))
            else:
                key = EncryptedKey(tlv.element(tlv.SEQUENCE, inner.contents(tlv.SEQUENCE)), is_enveloped_data=False)
            inner.finish()
            return PKIArchiveOptions(key)
        case 0x81:
            return PKIArchiveOptions(KeyGenParameters(cursor.contents(0x81)))
    contents = cursor.contents(0x82)
    if contents not in (b"\x00", b"\xff"):
        raise CRMFError("a BOOLEAN other than 00 and FF")
    return PKIArchiveOptions(contents == b"\xff")


def read_cert_id(cursor: Cursor) -> CertId:
    """The fields of a CertId, to the end of the cursor (RFC 4211, 6.5)."""
    cert_id = CertId(read_general_name(cursor.element()), read_integer(cursor))
    cursor.finish()
    return cert_id


_CONTROLS: dict[str, Callable[[Cursor], Control]] = {
    REG_TOKEN: lambda cursor: RegToken(read_text(cursor)),
    AUTHENTICATOR: lambda cursor: Authenticator(read_text(cursor)),
    PKI_PUBLICATION_INFO: _publication_info,
    PKI_ARCHIVE_OPTIONS: _archive_options,
    OLD_CERT_ID: lambda cursor: OldCertID(read_cert_id(cursor.enter(tlv.SEQUENCE))),
    PROTOCOL_ENCR_KEY: lambda cursor: ProtocolEncrKey(read_public_key(cursor.element())),
}
