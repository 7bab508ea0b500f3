"""Bodies of EST messages (RFC 7030, 4; RFC 8951, 3): octets to a request, an answer to octets.

Requests come as base64 with or without line breaks, as the RFCs have it, and from simpler clients as DER or PEM. A
Content-Transfer-Encoding is not looked at (RFC 8951, 3).
"""

from __future__ import annotations

import base64
import binascii
import re

from cspd.authority.chains import pem_of
from cspd.refusals import Malformed
from cspd.x509.cms.signed import encode_certs_only
from cspd.x509.csr import MAX_CSR
from protocols.est.messages import Certificates, GeneratedKey, RevocationForm

MAX_BODY = 2 * MAX_CSR
"""Octets of a body: base64 makes 4 of 3, and line breaks come on top."""

_SPACES = re.compile(rb"[ \t\r\n]+")
_PEM = re.compile(rb"-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----(?P<text>[^-]*)-----END (?P=label)-----\s*")
_FORM_FIELDS = {"reason": re.compile(r"[A-Za-z]{1,40}"), "serial": re.compile(r"[0-9A-Fa-f]{1,40}")}
_MAX_FORM = 256
_SEQUENCE = 0x30
_PLAIN_KEY = b"application/pkcs8"
_ENCRYPTED_KEY = b"application/pkcs7-mime; smime-type=server-generated-key"


def decode_request(body: bytes) -> bytes:
    """The DER of the certification request that a body carries; raises Malformed.

    That the DER is a request is not looked at here.
    """
    if len(body) > MAX_BODY:
        raise Malformed(f"the body has more than {MAX_BODY} bytes")
    # Base64 of a request starts with "MI": a first octet of 0x30, which is the digit 0, is DER itself.
    if body[:1] == bytes((_SEQUENCE,)):
        return body
    text = body.strip()
    if text.startswith(b"-----"):
        found = _PEM.fullmatch(text)
        if found is None:
            raise Malformed("the body is neither base64 nor one CERTIFICATE REQUEST in PEM")
        text = found["text"]
    try:
        request_der = base64.b64decode(_SPACES.sub(b"", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("the body is not base64 (RFC 4648, 4)") from error
    if not request_der:
        raise Malformed("the body is empty")
    return request_der


def decode_revocation_form(body: bytes) -> RevocationForm:
    """What ``reason=NAME&serial=HEXADECIMAL`` says, both of which may be absent; raises Malformed."""
    text = body.strip()
    if not text:
        return RevocationForm()
    wrong = Malformed("the body is empty, or has reason=NAME and serial=HEXADECIMAL, each at most once, joined by &")
    if len(text) > _MAX_FORM or not text.isascii():
        raise wrong
    fields: dict[str, str] = {}
    for field in text.decode("ascii").split("&"):
        name, _, value = field.partition("=")
        if name in fields or name not in _FORM_FIELDS or not _FORM_FIELDS[name].fullmatch(value):
            raise wrong
        fields[name] = value
    serial = fields.get("serial")
    return RevocationForm(
        reason=fields.get("reason", "unspecified"), serial=None if serial is None else int(serial, 16)
    )


def encode_base64(octets: bytes) -> bytes:
    """Base64 in one line: no white space is needed (RFC 8951, 3), and strongSwan's decoder stumbles over it."""
    return base64.b64encode(octets)


def encode_certificates(answer: Certificates) -> bytes:
    """A certs-only message (RFC 5272, 4.1) in base64."""
    return encode_base64(encode_certs_only(answer.certificates_der))


def encode_pem(answer: Certificates) -> bytes:
    """The certificates in PEM, in their order."""
    return pem_of(answer.certificates_der)


def encode_generated_key(answer: GeneratedKey, boundary: bytes) -> bytes:
    """The two parts of a multipart/mixed answer (4.4.2): the key, then its certificate."""
    parts = (
        (_ENCRYPTED_KEY if answer.is_encrypted else _PLAIN_KEY, answer.private_key_der),
        (b"application/pkcs7-mime; smime-type=certs-only", encode_certs_only([answer.certificate_der])),
    )
    written = [
        b"--%b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
        % (boundary, media_type, encode_base64(octets))
        for media_type, octets in parts
    ]
    return b"".join(written) + b"--%b--\r\n" % boundary
