"""Certificate request messages as DER (RFC 4211, appendix B); raises nothing for values that were decoded."""

from __future__ import annotations

from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.crmf.controls import (
    AUTHENTICATOR,
    OLD_CERT_ID,
    PKI_ARCHIVE_OPTIONS,
    PKI_PUBLICATION_INFO,
    PROTOCOL_ENCR_KEY,
    REG_TOKEN,
)
from cspd.x509.crmf.messages import (
    DHMAC,
    AttributeTypeAndValue,
    Authenticator,
    CertId,
    CertReqMessages,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Control,
    EncryptedKey,
    Extension,
    KeyEncipherment,
    KeyGenParameters,
    OldCertID,
    OptionalValidity,
    PKIArchiveOptions,
    PKIPublicationInfo,
    PKMACValue,
    POPOPrivKey,
    POPOSigningKey,
    POPOSigningKeyInput,
    ProofOfPossession,
    ProtocolEncrKey,
    RAVerified,
    RegToken,
    SubsequentMessage,
    ThisMessage,
)
from cspd.x509.general_name_encoding import encode_general_names
from cspd.x509.signatures import encode_algorithm


def encode_cert_req_messages(messages: CertReqMessages) -> bytes:
    """The DER of a CertReqMessages (RFC 4211, 3)."""
    return tlv.sequence(*map(encode_cert_req_msg, messages))


def encode_cert_req_msg(message: CertReqMsg) -> bytes:
    """The DER of one CertReqMsg (RFC 4211, 3)."""
    return tlv.sequence(
        encode_cert_request(message.cert_req),
        b"" if message.popo is None else _proof_of_possession(message.popo),
        tlv.sequence(*map(encode_control, message.reg_info)) if message.reg_info else b"",
    )


def encode_cert_request(request: CertRequest) -> bytes:
    """The DER of a CertRequest (RFC 4211, 5), made from its fields; a client signs it."""
    return tlv.sequence(
        tlv.integer(request.cert_req_id),
        encode_cert_template(request.cert_template),
        tlv.sequence(*map(encode_control, request.controls)) if request.controls else b"",
    )


def encode_cert_template(template: CertTemplate) -> bytes:
    """The DER of a CertTemplate (RFC 4211, 5)."""
    fields = (
        (0x80, None if template.version is None else tlv.integer(template.version)),
        (0x81, None if template.serial_number is None else tlv.integer(template.serial_number)),
        (0xA2, None if template.signing_alg is None else encode_algorithm(template.signing_alg)),
        (0xA4, None if template.validity is None else _optional_validity(template.validity)),
        (0xA6, template.public_key_der),
        (0x87, None if template.issuer_uid is None else tlv.element(tlv.BIT_STRING, template.issuer_uid)),
        (0x88, None if template.subject_uid is None else tlv.element(tlv.BIT_STRING, template.subject_uid)),
        (0xA9, None if template.extensions is None else tlv.sequence(*map(_extension, template.extensions))),
    )
    encoded = {identifier: _tagged(identifier, value) for identifier, value in fields if value is not None}
    if template.issuer is not None:
        encoded[0xA3] = tlv.element(0xA3, template.issuer.public_bytes())
    if template.subject is not None:
        encoded[0xA5] = tlv.element(0xA5, template.subject.public_bytes())
    return tlv.sequence(*(encoded[identifier] for identifier in sorted(encoded, key=lambda tag: tag & 0x1F)))


def encode_cert_id(cert_id: CertId) -> bytes:
    """The DER of a CertId (RFC 4211, 6.5)."""
    return tlv.sequence(_general_name(cert_id.issuer), tlv.integer(cert_id.serial_number))


def encode_control(control: Control) -> bytes:
    """The DER of the AttributeTypeAndValue of a control or of registration information (RFC 4211, 6 and 7)."""
    type, value_der = _control(control)
    return tlv.sequence(tlv.object_identifier(type), value_der)


def encode_poposk_input(poposk_input: POPOSigningKeyInput) -> bytes:
    """The DER of a POPOSigningKeyInput as it is signed (RFC 4211, 4.1), made from its fields."""
    auth_info = poposk_input.auth_info
    return tlv.sequence(
        _mac_value(auth_info) if isinstance(auth_info, PKMACValue) else tlv.element(0xA0, _general_name(auth_info)),
        poposk_input.public_key_der,
    )


def _tagged(identifier: int, encoded: bytes) -> bytes:
    """The element with another, implicit, tag."""
    return bytes((identifier,)) + encoded[1:]


def _octets(octets: bytes) -> bytes:
    return tlv.element(tlv.BIT_STRING, b"\x00" + octets)


def _general_name(name: x509.GeneralName) -> bytes:
    encoded = encode_general_names([name])
    start, stop = tlv.read_only(encoded, 0, len(encoded), tlv.SEQUENCE)
    return encoded[start:stop]


def _optional_validity(validity: OptionalValidity) -> bytes:
    times = ((0xA0, validity.not_before), (0xA1, validity.not_after))
    return tlv.sequence(*(tlv.element(identifier, tlv.time(time)) for identifier, time in times if time is not None))


def _extension(extension: Extension) -> bytes:
    return tlv.sequence(
        tlv.object_identifier(extension.extn_id),
        tlv.TRUE if extension.critical else b"",
        tlv.element(tlv.OCTET_STRING, extension.extn_value),
    )


def _control(control: Control) -> tuple[str, bytes]:
    match control:
        case AttributeTypeAndValue(type, value_der):
            return type, value_der
        case RegToken(token):
            return REG_TOKEN, tlv.element(tlv.UTF8_STRING, token.encode("utf-8"))
        case Authenticator(authenticator):
            return AUTHENTICATOR, tlv.element(tlv.UTF8_STRING, authenticator.encode("utf-8"))
        case PKIPublicationInfo():
            return PKI_PUBLICATION_INFO, _publication_info(control)
        case PKIArchiveOptions():
            return PKI_ARCHIVE_OPTIONS, _archive_options(control)
        case OldCertID(cert_id):
            return OLD_CERT_ID, encode_cert_id(cert_id)
        case ProtocolEncrKey(public_key_der):
            return PROTOCOL_ENCR_KEY, public_key_der


def _publication_info(info: PKIPublicationInfo) -> bytes:
    places = (
        tlv.sequence(
            tlv.integer(place.pub_method),
            b"" if place.pub_location is None else _general_name(place.pub_location),
        )
        for place in info.pub_infos
    )
    return tlv.sequence(tlv.integer(info.action), tlv.sequence(*places) if info.pub_infos else b"")


def _archive_options(options: PKIArchiveOptions) -> bytes:
    match options.option:
        case EncryptedKey(encoded, is_enveloped_data):
            return tlv.element(0xA0, _tagged(0xA0, encoded) if is_enveloped_data else encoded)
        case KeyGenParameters(octets):
            return tlv.element(0x81, octets)
        case flag:
            return tlv.element(0x82, b"\xff" if flag else b"\x00")


def _proof_of_possession(popo: ProofOfPossession) -> bytes:
    if isinstance(popo, RAVerified):
        return tlv.element(0x80, b"")
    if isinstance(popo, POPOSigningKey):
        return _tagged(0xA1, _signing_key(popo))
    return tlv.element(0xA2 if isinstance(popo, KeyEncipherment) else 0xA3, _private_key(popo.private_key))


def _signing_key(popo: POPOSigningKey) -> bytes:
    signed = b"" if popo.poposk_input is None else _tagged(0xA0, encode_poposk_input(popo.poposk_input))
    return tlv.sequence(signed, encode_algorithm(popo.algorithm), _octets(popo.signature))


def _mac_value(value: PKMACValue) -> bytes:
    return tlv.sequence(encode_algorithm(value.algorithm), _octets(value.value))


def _private_key(private_key: POPOPrivKey) -> bytes:
    match private_key:
        case SubsequentMessage():
            return _tagged(0x81, tlv.integer(private_key))
        case ThisMessage(octets):
            return _tagged(0x80, _octets(octets))
        case DHMAC(octets):
            return _tagged(0x82, _octets(octets))
        case PKMACValue():
            return _tagged(0xA3, _mac_value(private_key))
        case EncryptedKey(encoded):
            return _tagged(0xA4, encoded)
