"""Requests and responses of the Time-Stamp Protocol and their DER (RFC 3161, 2.4).

``decode_request`` is total: any bytes give a :class:`TimeStampReq` or a :class:`RequestError`. It accepts DER alone, so
that what it accepts has one encoding: ``encode_request(decode_request(data)) == data``. What a token looks like inside
is in :mod:`protocols.tsp.token`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from cspd.x509 import tlv
from protocols.tsp.errors import STATUS_STRINGS, TimeStampRejected
from protocols.tsp.hash_algorithms import ALGORITHM_IDENTIFIERS, DIGEST_OCTETS, HASH_ALGORITHMS
from protocols.tsp.messages import (
    Extension,
    HashAlgorithm,
    MessageImprint,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
    TimeStampReq,
)

MAX_NONCE_OCTETS = 64
"""RFC 3161, 2.4.1 asks for 64 bits; clients are known to send up to 32 octets."""
MAX_EXTENSIONS = 16

_VERSION = tlv.integer(1)
_EXTENSIONS = 0xA0  # [0] IMPLICIT Extensions
_IMPRINT_OCTETS = {encoded: DIGEST_OCTETS[algorithm] for encoded, algorithm in HASH_ALGORITHMS.items()}


class RequestError(TimeStampRejected, ValueError):
    """The bytes are not a TimeStampReq that we read; ``fail_info`` is what to answer."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a client may send."""

    request_octets: int = 8192
    """``tsa.md`` R-TSA-005."""
    nonce_octets: int = MAX_NONCE_OCTETS


def decode_request(
    data: bytes,
    limits: RequestLimits = RequestLimits(),  # frozen
    *,
    recognized_extensions: Container[str] = (),
) -> TimeStampReq:
    """Decode a TimeStampReq (RFC 3161, 2.4.1).

    Raises :class:`RequestError`: ``badDataFormat`` for what is not DER of one (trailing bytes and BER are not), for an
    imprint whose length is not that of its algorithm, and for what is above ``limits``; ``badRequest`` for versions
    other than 1; ``unacceptedExtension`` for any extension that is not in ``recognized_extensions`` (dotted), critical
    or not, as RFC 3161 wants it. A hash algorithm that we do not know is no error here.
    """
    if len(data) > limits.request_octets:
        raise _malformed(f"longer than {limits.request_octets} octets")
    try:
        return _read_request(data, limits, recognized_extensions)
    except tlv.DERError as error:
        raise _malformed(str(error)) from error


def _malformed(detail: str) -> RequestError:
    return RequestError(PKIFailureInfo.BAD_DATA_FORMAT, detail)


def _read_request(data: bytes, limits: RequestLimits, recognized_extensions: Container[str]) -> TimeStampReq:
    start, end = tlv.read_only(data, 0, len(data), tlv.SEQUENCE)
    position = start + 3
    if data[start:position] != _VERSION:
        _refuse_version(data, start, end)
    message_imprint, position = _read_message_imprint(data, position, end)
    req_policy = nonce = None
    if position < end and data[position] == tlv.OBJECT_IDENTIFIER:
        inner, position = tlv.read(data, position, end, tlv.OBJECT_IDENTIFIER)
        req_policy = tlv.read_object_identifier(data, inner, position)
    if position < end and data[position] == tlv.INTEGER:
        inner, position = tlv.read(data, position, end, tlv.INTEGER)
        if position - inner > limits.nonce_octets:
            raise _malformed(f"a nonce of more than {limits.nonce_octets} octets")
        nonce = tlv.read_integer(data, inner, position)
    # certReq FALSE is never there: it is the default, which DER leaves out.
    cert_req = data[position : position + 3] == tlv.TRUE
    if cert_req:
        position += 3
    extensions = _read_extensions(data, position, end) if position < end else ()
    for extension in extensions:
        if extension.extn_id not in recognized_extensions:
            raise RequestError(PKIFailureInfo.UNACCEPTED_EXTENSION, f"extension {extension.extn_id}")
    return TimeStampReq(message_imprint, req_policy, nonce, cert_req, extensions)


def _refuse_version(data: bytes, position: int, end: int) -> None:
    inner, stop = tlv.read(data, position, end, tlv.INTEGER)
    version = tlv.read_integer(data, inner, stop)
    if stop - inner > 4:
        raise RequestError(PKIFailureInfo.BAD_REQUEST, f"a version of {stop - inner} octets")
    raise RequestError(PKIFailureInfo.BAD_REQUEST, f"version {version}")


def _read_message_imprint(data: bytes, position: int, end: int) -> tuple[MessageImprint, int]:
    start, stop = tlv.read(data, position, end, tlv.SEQUENCE)
    oid_start, algorithm_end = tlv.read(data, start, stop, tlv.SEQUENCE)
    algorithm_der = data[start:algorithm_end]
    hash_start, _ = tlv.read_only(data, algorithm_end, stop, tlv.OCTET_STRING)
    octets = _IMPRINT_OCTETS.get(algorithm_der)
    if octets is None:
        _check_algorithm(data, oid_start, algorithm_end)
    elif stop - hash_start != octets:
        raise _malformed(f"an imprint of {stop - hash_start} octets by an algorithm that gives {octets}")
    return MessageImprint(algorithm_der, data[hash_start:stop], data[position:stop]), stop


def _check_algorithm(data: bytes, position: int, end: int) -> None:
    inner, stop = tlv.read(data, position, end, tlv.OBJECT_IDENTIFIER)
    tlv.read_object_identifier(data, inner, stop)
    if stop < end and tlv.read_any(data, stop, end)[2] != end:
        raise _malformed("hashAlgorithm has more than its parameters")
    tlv.check_well_formed(data, stop, end)


def _read_extensions(data: bytes, position: int, end: int) -> tuple[Extension, ...]:
    inner, stop = tlv.read_only(data, position, end, _EXTENSIONS)
    extensions: list[Extension] = []
    while inner < stop:
        if len(extensions) == MAX_EXTENSIONS:
            raise _malformed(f"more than {MAX_EXTENSIONS} extensions")
        extension, inner = _read_extension(data, inner, stop)
        if any(earlier.extn_id == extension.extn_id for earlier in extensions):
            raise _malformed(f"extension {extension.extn_id} twice")
        extensions.append(extension)
    if not extensions:
        raise _malformed("an empty list of extensions")
    return tuple(extensions)


def _read_extension(data: bytes, position: int, end: int) -> tuple[Extension, int]:
    start, stop = tlv.read(data, position, end, tlv.SEQUENCE)
    inner, oid_end = tlv.read(data, start, stop, tlv.OBJECT_IDENTIFIER)
    extn_id = tlv.read_object_identifier(data, inner, oid_end)
    critical = data[oid_end : oid_end + 3] == tlv.TRUE
    inner, stop = tlv.read_only(data, oid_end + 3 if critical else oid_end, stop, tlv.OCTET_STRING)
    return Extension(extn_id, critical, data[inner:stop]), stop


def message_imprint(algorithm: HashAlgorithm, hashed_message: bytes) -> MessageImprint:
    """The MessageImprint of a digest, with the parameters of its algorithm absent."""
    algorithm_der = ALGORITHM_IDENTIFIERS[algorithm]
    encoded = tlv.sequence(algorithm_der, tlv.element(tlv.OCTET_STRING, hashed_message))
    return MessageImprint(algorithm_der, hashed_message, encoded)


def encode_request(request: TimeStampReq) -> bytes:
    """Encode a TimeStampReq; clients do this, and tests."""
    return tlv.sequence(
        _VERSION,
        request.message_imprint.encoded,
        b"" if request.req_policy is None else tlv.object_identifier(request.req_policy),
        b"" if request.nonce is None else tlv.integer(request.nonce),
        tlv.TRUE if request.cert_req else b"",
        encode_extensions(request.extensions, _EXTENSIONS),
    )


def encode_extensions(extensions: Sequence[Extension], identifier: int) -> bytes:
    """Encode ``[n] IMPLICIT Extensions`` with this identifier octet; nothing if there are none."""
    if not extensions:
        return b""
    return tlv.element(
        identifier,
        b"".join(
            tlv.sequence(
                tlv.object_identifier(extension.extn_id),
                tlv.TRUE if extension.critical else b"",
                tlv.element(tlv.OCTET_STRING, extension.extn_value),
            )
            for extension in extensions
        ),
    )


def encode_status_info(status: PKIStatusInfo) -> bytes:
    """Encode a PKIStatusInfo (RFC 3161, 2.4.2); an empty ``status_string`` is left out."""
    status_string = b""
    if status.status_string:
        status_string = tlv.sequence(tlv.element(tlv.UTF8_STRING, status.status_string.encode()))
    fail_info = b"" if status.fail_info is None else tlv.bit_string(status.fail_info.value)
    return tlv.sequence(tlv.integer(status.status.value), status_string, fail_info)


def encode_rejection(status: PKIStatusInfo) -> bytes:
    """Encode a TimeStampResp without a token (RFC 3161, 2.4.2)."""
    return tlv.sequence(encode_status_info(status))


_GRANTED = encode_status_info(PKIStatusInfo(PKIStatus.GRANTED))


def encode_granted(token_der: bytes) -> bytes:
    """Encode a TimeStampResp whose status is granted, around a TimeStampToken (RFC 3161, 2.4.2)."""
    return tlv.element(tlv.SEQUENCE, _GRANTED + token_der)


REJECTIONS: Mapping[PKIFailureInfo, bytes] = {
    fail_info: encode_rejection(PKIStatusInfo(PKIStatus.REJECTION, STATUS_STRINGS[fail_info], fail_info))
    for fail_info in PKIFailureInfo
}
"""TimeStampResps with the text of :data:`protocols.tsp.errors.STATUS_STRINGS`, encoded once so that saying no cannot
fail."""
