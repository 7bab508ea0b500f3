"""Responses and tokens of any maker, read for verification (RFC 3161, 2.4.2).

The reader of requests accepts DER alone. Tokens are evidence that somebody made long ago, and CMS allows BER: here
whatever can be understood is, and nothing is verified yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asn1crypto import core, tsp

from cspd.x509 import der, tlv
from cspd.x509.ber import to_der
from cspd.x509.cms.signed import read_signed_data
from cspd.x509.cms.values import SignedData, SignerInfo
from cspd.x509.cursor import Cursor
from protocols.tsp.messages import (
    Accuracy,
    Extension,
    MessageImprint,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
    TSTInfo,
)

MAX_OCTETS = 256 * 1024
"""Of a response; one with three certificates of ML-DSA-87 has about 30 thousand."""

_MAX_INTEGER_BITS = 4096  # of a serialNumber or nonce, which somebody will want to print

_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_SHA1 = "1.3.14.3.2.26"


class TokenError(ValueError):
    """The bytes are no response or token that can be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A TimeStampToken."""

    encoded: bytes = field(repr=False)
    """DER."""
    signed_data: SignedData
    tst_info: TSTInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class SignersCertificate:
    """What the signed attributes say of the signer's certificate: ESSCertID or ESSCertIDv2 (RFC 5035, 4 and 5)."""

    hash_algorithm: str
    """Dotted."""
    cert_hash: bytes
    serial_number: int | None
    """Of issuerSerial, if that is there."""


def read_response_or_token(data: bytes) -> tuple[PKIStatusInfo | None, Token | None]:
    """Read a TimeStampResp, which may have no token, or a TimeStampToken alone, which has no status.

    Raises :class:`TokenError`.
    """
    try:
        encoded = to_der(data, limit=MAX_OCTETS)
        response = Cursor.over(encoded).enter(tlv.SEQUENCE)
        if response.peek() == tlv.OBJECT_IDENTIFIER:
            return None, _read_token(encoded)
        status = _status_info(response.element())
        token = None if response.is_at_end else _read_token(response.element())
        response.finish()
    except (tlv.DERError, der.DERError, ValueError, OverflowError) as error:
        raise TokenError(str(error)) from error
    return status, token


def _status_info(encoded: bytes) -> PKIStatusInfo:
    status = der.read(tsp.PKIStatusInfo, encoded, canonical=False)
    bits = _bits(status["fail_info"].contents or b"")
    return PKIStatusInfo(
        PKIStatus(int(status["status"])),
        "; ".join(status["status_string"].native or ()),
        next((each for each in PKIFailureInfo if each.value in bits), None),
    )


def _bits(contents: bytes) -> frozenset[int]:
    """The numbers of the bits that are set, by the contents of a BIT STRING."""
    octets = contents[1:5]  # what there is to know is in the first 26 bits
    return frozenset(bit for bit in range(8 * len(octets)) if octets[bit // 8] & (0x80 >> bit % 8))


def _read_token(encoded: bytes) -> Token:
    signed_data = read_signed_data(encoded, limit=MAX_OCTETS)
    if signed_data.content is None:
        raise TokenError("a SignedData without content")
    tst_info = der.read(tsp.TSTInfo, signed_data.content, limit=MAX_OCTETS, canonical=False)
    return Token(encoded=encoded, signed_data=signed_data, tst_info=_tst_info(tst_info))


def _tst_info(info: Any) -> TSTInfo:
    if int(info["version"]) != 1:
        raise TokenError(f"a TSTInfo of version {int(info['version'])}")
    imprint = info["message_imprint"]
    gen_time = info["gen_time"].native
    if not isinstance(gen_time, datetime) or gen_time.tzinfo is None:
        raise TokenError("genTime is not UTC")
    accuracy = info["accuracy"].native
    numbers = [info["serial_number"].native, info["nonce"].native or 0, *(accuracy or {}).values()]
    if any((number or 0).bit_length() > _MAX_INTEGER_BITS for number in numbers):
        raise TokenError(f"a number of more than {_MAX_INTEGER_BITS} bits")
    tsa = info["tsa"]
    return TSTInfo(
        policy=info["policy"].dotted,
        message_imprint=MessageImprint(
            imprint["hash_algorithm"].dump(), imprint["hashed_message"].native, imprint.dump()
        ),
        serial_number=info["serial_number"].native,
        gen_time=gen_time.astimezone(UTC),
        accuracy=None if accuracy is None else Accuracy(*(part or 0 for part in accuracy.values())),
        ordering=info["ordering"].native,
        nonce=info["nonce"].native,
        tsa_der=None if isinstance(tsa, core.Void) else Cursor.over(tsa.dump()).enter(tsa.dump()[0]).element(),
        extensions=tuple(
            Extension(each["extn_id"].dotted, each["critical"].native, bytes(each["extn_value"]))
            for each in (() if isinstance(info["extensions"], core.Void) else info["extensions"])
        ),
    )


def read_signers_certificates(signer: SignerInfo) -> tuple[SignersCertificate, ...]:
    """What signingCertificate and signingCertificateV2 say of the signer: nothing, or what one or both say.

    The first of each list is the signer's; others restrict its path (RFC 5035, 5.4.1). Raises :class:`TokenError`.
    """
    found = []
    try:
        for encoded in signer.signed_attributes.get(_SIGNING_CERTIFICATE, ()):
            first = der.read(tsp.SigningCertificate, encoded, canonical=False)["certs"][0]
            found.append(_signers_certificate(first, _SHA1))
        for encoded in signer.signed_attributes.get(_SIGNING_CERTIFICATE_V2, ()):
            first = der.read(tsp.SigningCertificateV2, encoded, canonical=False)["certs"][0]
            found.append(_signers_certificate(first, first["hash_algorithm"]["algorithm"].dotted))
    except (ValueError, IndexError) as error:
        raise TokenError(f"signingCertificate: {error}") from error
    return tuple(found)


def _signers_certificate(cert_id: Any, hash_algorithm: str) -> SignersCertificate:
    issuer_serial = cert_id["issuer_serial"].native
    return SignersCertificate(
        hash_algorithm=hash_algorithm,
        cert_hash=cert_id["cert_hash"].native,
        serial_number=None if issuer_serial is None else issuer_serial["serial_number"],
    )
