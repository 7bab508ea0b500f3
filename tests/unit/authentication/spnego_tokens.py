"""Tokens of Negotiate, written out."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.x509 import tlv

SPNEGO, KERBEROS, MS_KERBEROS = "1.3.6.1.5.5.2", "1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2"
NTLM, NEGOEX = "1.3.6.1.4.1.311.2.2.10", "1.3.6.1.4.1.311.2.2.30"
NTLM_TOKEN = b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2"


def encrypted(number: int) -> bytes:
    """EncryptedData (RFC 4120, 5.2.9)."""
    return tlv.sequence(
        tlv.element(0xA0, tlv.integer(number)), tlv.element(0xA2, tlv.element(tlv.OCTET_STRING, b"cipher"))
    )


def ap_req(ticket: int = 18, session: int = 18) -> bytes:
    name = tlv.sequence(tlv.element(0xA0, tlv.integer(2)), tlv.element(0xA1, tlv.sequence(b"\x1b\x04HTTP")))
    body = tlv.sequence(
        tlv.element(0xA0, tlv.integer(5)),
        tlv.element(0xA1, b"\x1b\x0bEXAMPLE.COM"),
        tlv.element(0xA2, name),
        tlv.element(0xA3, encrypted(ticket)),
    )
    request = tlv.sequence(
        tlv.element(0xA0, tlv.integer(5)),
        tlv.element(0xA1, tlv.integer(14)),
        tlv.element(0xA2, b"\x03\x05\x00\x20\x00\x00\x00"),
        tlv.element(0xA3, tlv.element(0x61, body)),
        tlv.element(0xA4, encrypted(session)),
    )
    return tlv.element(0x6E, request)


def kerberos(ticket: int = 18, session: int = 18, *, mechanism: str = KERBEROS) -> bytes:
    """A Kerberos token of GSS-API (RFC 4121, 4.1)."""
    return tlv.element(0x60, tlv.object_identifier(mechanism) + b"\x01\x00" + ap_req(ticket, session))


def init(mechanisms: Sequence[str], mech_token: bytes | None) -> bytes:
    """negTokenInit (RFC 4178, 4.2.1)."""
    fields = [tlv.element(0xA0, tlv.sequence(*map(tlv.object_identifier, mechanisms)))]
    if mech_token is not None:
        fields.append(tlv.element(0xA2, tlv.element(tlv.OCTET_STRING, mech_token)))
    return tlv.element(0x60, tlv.object_identifier(SPNEGO) + tlv.element(0xA0, tlv.sequence(*fields)))


def response(mech_token: bytes | None) -> bytes:
    """negTokenResp (RFC 4178, 4.2.2)."""
    fields = [tlv.element(0xA0, tlv.element(tlv.ENUMERATED, b"\x01"))]
    if mech_token is not None:
        fields.append(tlv.element(0xA2, tlv.element(tlv.OCTET_STRING, mech_token)))
    return tlv.element(0xA1, tlv.sequence(*fields))
