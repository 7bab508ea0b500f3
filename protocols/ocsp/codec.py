"""OCSP messages and their DER (RFC 6960, 4 and appendix B.1).

``decode_request`` is total: any bytes give an :class:`OCSPRequest` or a :class:`RequestError`. It accepts DER alone, so
that what it accepts has one encoding: ``encode_request(decode_request(data)) == data``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from cspd.x509 import tlv
from protocols.ocsp.messages import (
    NONCE,
    CertID,
    CertStatus,
    Extension,
    Good,
    HashAlgorithm,
    OCSPRequest,
    OCSPResponseStatus,
    ResponseData,
    Revoked,
    SingleRequest,
    SingleResponse,
)

MAX_HASH_OCTETS = 64
"""SHA-512."""
MAX_SERIAL_OCTETS = 21
"""20 octets by RFC 5280, 4.1.2.2, and the sign octet that some CAs do not count."""
MAX_EXTENSIONS = 16
"""In one list of extensions; RFC 6960 defines four for requests."""
MAX_NONCE_OCTETS = 128
"""RFC 9654, 2.1."""

_CONTEXT = 0xA0
_KEY_HASH_HEAD = b"\xa2\x16\x04\x14"  # responderID byKey [2] EXPLICIT KeyHash, 20 octets
_NEXT_UPDATE_HEAD = b"\xa0\x11"  # nextUpdate [0] EXPLICIT GeneralizedTime, 15 octets

_HASHES = {
    HashAlgorithm.SHA1: "1.3.14.3.2.26",
    HashAlgorithm.SHA224: "2.16.840.1.101.3.4.2.4",
    HashAlgorithm.SHA256: "2.16.840.1.101.3.4.2.1",
    HashAlgorithm.SHA384: "2.16.840.1.101.3.4.2.2",
    HashAlgorithm.SHA512: "2.16.840.1.101.3.4.2.3",
}
HASH_ALGORITHMS = {
    tlv.sequence(tlv.object_identifier(oid), parameters): algorithm
    for algorithm, oid in _HASHES.items()
    for parameters in (b"", tlv.NULL)
}
"""The AlgorithmIdentifiers we know; their parameters may be NULL or absent (RFC 5754, 2)."""

# What a request may mark critical: the extensions that we know, of which all but the nonce leave the answer as it is.
_UNDERSTOOD = frozenset(
    {
        NONCE,
        "1.3.6.1.5.5.7.48.1.4",  # id-pkix-ocsp-response: the client must take a basic response anyway (RFC 6960, 4.4.3)
        "1.3.6.1.5.5.7.48.1.7",  # id-pkix-ocsp-service-locator: we do not relay
        "1.3.6.1.5.5.7.48.1.8",  # id-pkix-ocsp-pref-sig-algs: a responder has one key (RFC 6960, 4.4.7.2.2)
    }
)
_NONCE_OID = tlv.object_identifier(NONCE)
_EXTENDED_REVOKE = tlv.sequence(tlv.object_identifier("1.3.6.1.5.5.7.48.1.9"), tlv.element(tlv.OCTET_STRING, tlv.NULL))
_BASIC_RESPONSE = tlv.object_identifier("1.3.6.1.5.5.7.48.1.1")
_SUCCESSFUL = tlv.element(tlv.ENUMERATED, bytes((OCSPResponseStatus.SUCCESSFUL.value,)))

ERROR_RESPONSES: Mapping[OCSPResponseStatus, bytes] = {
    status: tlv.sequence(tlv.element(tlv.ENUMERATED, bytes((status.value,))))
    for status in OCSPResponseStatus
    if status is not OCSPResponseStatus.SUCCESSFUL
}
"""OCSPResponses without responseBytes, encoded once so that saying no cannot fail."""


class RequestError(ValueError):
    """The bytes are not an OCSPRequest that we read; the answer is ``malformedRequest``."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a client may send."""

    request_octets: int = 8192
    """``va.md`` R-VA-004."""
    cert_ids: int = 100


def decode_request(data: bytes, limits: RequestLimits = RequestLimits()) -> OCSPRequest:  # frozen
    """Decode an OCSPRequest (RFC 6960, 4.1.1).

    Raises :class:`RequestError` for anything that is not one, for versions other than v1, for a nonce that RFC 9654
    forbids, for an extension that is critical and not known (RFC 6960, 4.4), and for what is above ``limits``.
    """
    if len(data) > limits.request_octets:
        raise RequestError(f"longer than {limits.request_octets} octets")
    try:
        return _read_request(data, limits)
    except tlv.DERError as error:
        raise RequestError(str(error)) from error


def _read_request(data: bytes, limits: RequestLimits) -> OCSPRequest:
    start, end = tlv.read_only(data, 0, len(data), tlv.SEQUENCE)
    position, tbs_end = tlv.read(data, start, end, tlv.SEQUENCE)
    signature_der = None
    if tbs_end < end:
        inner, stop = tlv.read_only(data, tbs_end, end, _CONTEXT)
        tlv.read_only(data, inner, stop, tlv.SEQUENCE)
        tlv.check_well_formed(data, inner, stop)
        signature_der = data[inner:stop]

    # version [0] EXPLICIT DEFAULT v1 is never there: v1 is left out in DER, and there is no other version.
    requestor_name_der = None
    if position < tbs_end and data[position] == _CONTEXT | 1:
        inner, stop = tlv.read(data, position, tbs_end, _CONTEXT | 1)
        tlv.check_well_formed(data, inner, stop)
        if tlv.read_any(data, inner, stop)[2] != stop:
            raise RequestError("requestorName is not one GeneralName")
        requestor_name_der = data[inner:stop]
        position = stop
    inner, stop = tlv.read(data, position, tbs_end, tlv.SEQUENCE)
    request_list: list[SingleRequest] = []
    while inner < stop:
        if len(request_list) == limits.cert_ids:
            raise RequestError(f"more than {limits.cert_ids} CertIDs")
        single, inner = _read_single_request(data, inner, stop)
        request_list.append(single)
    if not request_list:
        raise RequestError("the requestList is empty")
    extensions = _read_extensions(data, stop, tbs_end, _CONTEXT | 2) if stop < tbs_end else ()
    return OCSPRequest(tuple(request_list), extensions, requestor_name_der, signature_der)


def _read_single_request(data: bytes, position: int, end: int) -> tuple[SingleRequest, int]:
    start, stop = tlv.read(data, position, end, tlv.SEQUENCE)
    inner, cert_id_end = tlv.read(data, start, stop, tlv.SEQUENCE)
    oid_start, algorithm_end = tlv.read(data, inner, cert_id_end, tlv.SEQUENCE)
    algorithm_der = data[inner:algorithm_end]
    if algorithm_der not in HASH_ALGORITHMS:
        oid_start, oid_end = tlv.read(data, oid_start, algorithm_end, tlv.OBJECT_IDENTIFIER)
        tlv.read_object_identifier(data, oid_start, oid_end)
        if oid_end < algorithm_end and tlv.read_any(data, oid_end, algorithm_end)[2] != algorithm_end:
            raise RequestError("hashAlgorithm has more than its parameters")
        tlv.check_well_formed(data, oid_end, algorithm_end)
    name_start, name_end = tlv.read(data, algorithm_end, cert_id_end, tlv.OCTET_STRING)
    key_start, key_end = tlv.read(data, name_end, cert_id_end, tlv.OCTET_STRING)
    if name_end - name_start > MAX_HASH_OCTETS or key_end - key_start > MAX_HASH_OCTETS:
        raise RequestError(f"a hash is longer than {MAX_HASH_OCTETS} octets")
    serial_start, serial_end = tlv.read_only(data, key_end, cert_id_end, tlv.INTEGER)
    if serial_end - serial_start > MAX_SERIAL_OCTETS:
        raise RequestError(f"a serialNumber is longer than {MAX_SERIAL_OCTETS} octets")
    cert_id = CertID(
        algorithm_der,
        data[name_start:name_end],
        data[key_start:key_end],
        tlv.read_integer(data, serial_start, serial_end),
        data[start:cert_id_end],
    )
    if cert_id_end == stop:
        return SingleRequest(cert_id), stop
    return SingleRequest(cert_id, _read_extensions(data, cert_id_end, stop, _CONTEXT)), stop


def _read_extensions(data: bytes, position: int, end: int, identifier: int) -> tuple[Extension, ...]:
    """Read ``[n] EXPLICIT Extensions``, which must reach to ``end``."""
    inner, stop = tlv.read_only(data, position, end, identifier)
    inner, stop = tlv.read_only(data, inner, stop, tlv.SEQUENCE)
    extensions: list[Extension] = []
    while inner < stop:
        if len(extensions) == MAX_EXTENSIONS:
            raise RequestError(f"more than {MAX_EXTENSIONS} extensions")
        extension, inner = _read_extension(data, inner, stop)
        if extensions and any(earlier.extn_id == extension.extn_id for earlier in extensions):
            raise RequestError(f"extension {extension.extn_id} twice")
        extensions.append(extension)
    if not extensions:
        raise RequestError("an empty list of extensions")
    return tuple(extensions)


def _read_extension(data: bytes, position: int, end: int) -> tuple[Extension, int]:
    start, stop = tlv.read(data, position, end, tlv.SEQUENCE)
    inner, oid_end = tlv.read(data, start, stop, tlv.OBJECT_IDENTIFIER)
    extn_id = NONCE if data[start:oid_end] == _NONCE_OID else tlv.read_object_identifier(data, inner, oid_end)
    critical = data[oid_end : oid_end + 3] == tlv.TRUE
    inner, stop = tlv.read_only(data, oid_end + 3 if critical else oid_end, stop, tlv.OCTET_STRING)
    if critical and extn_id not in _UNDERSTOOD:
        raise RequestError(f"critical extension {extn_id} is not known")
    if extn_id == NONCE:
        nonce_start, nonce_end = tlv.read_only(data, inner, stop, tlv.OCTET_STRING)
        if not 1 <= nonce_end - nonce_start <= MAX_NONCE_OCTETS:
            raise RequestError(f"the nonce has not 1 to {MAX_NONCE_OCTETS} octets")
    return Extension(extn_id, critical, data[inner:stop]), stop


def encode_request(request: OCSPRequest) -> bytes:
    """Encode an OCSPRequest; clients do this, and tests."""
    tbs_request = tlv.sequence(
        b"" if request.requestor_name_der is None else tlv.element(_CONTEXT | 1, request.requestor_name_der),
        tlv.sequence(*map(_encode_single_request, request.request_list)),
        _encode_extensions(request.extensions, _CONTEXT | 2),
    )
    signature_der = request.signature_der
    return tlv.sequence(tbs_request, b"" if signature_der is None else tlv.element(_CONTEXT, signature_der))


def _encode_single_request(request: SingleRequest) -> bytes:
    return tlv.sequence(encode_cert_id(request.req_cert), _encode_extensions(request.extensions, _CONTEXT))


def _encode_extensions(extensions: tuple[Extension, ...], identifier: int) -> bytes:
    if not extensions:
        return b""
    return tlv.element(
        identifier,
        tlv.sequence(
            *(
                tlv.sequence(
                    tlv.object_identifier(extension.extn_id),
                    tlv.TRUE if extension.critical else b"",
                    tlv.element(tlv.OCTET_STRING, extension.extn_value),
                )
                for extension in extensions
            )
        ),
    )


def nonce_extension(nonce: bytes, *, critical: bool = False) -> Extension:
    """The extension that carries a nonce of 1 to 128 octets (RFC 9654, 2.1)."""
    return Extension(NONCE, critical, tlv.element(tlv.OCTET_STRING, nonce))


def encode_cert_id(cert_id: CertID) -> bytes:
    """Encode a CertID."""
    return tlv.element(
        tlv.SEQUENCE,
        cert_id.algorithm_der
        + tlv.element(tlv.OCTET_STRING, cert_id.issuer_name_hash)
        + tlv.element(tlv.OCTET_STRING, cert_id.issuer_key_hash)
        + tlv.integer(cert_id.serial_number),
    )


def encode_response_data(response_data: ResponseData) -> bytes:
    """Encode what the responder signs (RFC 6960, 4.2.1)."""
    nonce = response_data.nonce
    if response_data.extended_revoke:
        extensions = _EXTENDED_REVOKE if nonce is None else _nonce_extension(len(nonce)) + nonce + _EXTENDED_REVOKE
        extensions = tlv.element(_CONTEXT | 1, tlv.element(tlv.SEQUENCE, extensions))
    else:
        extensions = b"" if nonce is None else _only_nonce_head(len(nonce)) + nonce
    return tlv.element(
        tlv.SEQUENCE,
        _KEY_HASH_HEAD
        + response_data.responder_key_hash
        + tlv.generalized_time(response_data.produced_at)
        + tlv.element(tlv.SEQUENCE, b"".join(map(_encode_single_response, response_data.responses)))
        + extensions,
    )


@cache  # there are 128 lengths
def _nonce_extension(octets: int) -> bytes:
    """The Extension of a nonce of that length, up to where the nonce itself begins."""
    nonce = bytes(octets)
    value = tlv.element(tlv.OCTET_STRING, tlv.element(tlv.OCTET_STRING, nonce))
    return tlv.element(tlv.SEQUENCE, _NONCE_OID + value)[:-octets]


@cache
def _only_nonce_head(octets: int) -> bytes:
    """``responseExtensions [1] EXPLICIT Extensions`` with nothing but a nonce of that length, up to the nonce."""
    extension = _nonce_extension(octets) + bytes(octets)
    return tlv.element(_CONTEXT | 1, tlv.element(tlv.SEQUENCE, extension))[:-octets]


def _encode_single_response(response: SingleResponse) -> bytes:
    next_update = response.next_update
    return tlv.element(
        tlv.SEQUENCE,
        (response.cert_id.encoded or encode_cert_id(response.cert_id))
        + _encode_cert_status(response.cert_status)
        + tlv.generalized_time(response.this_update)
        + (b"" if next_update is None else _NEXT_UPDATE_HEAD + tlv.generalized_time(next_update)),
    )


def _encode_cert_status(status: CertStatus) -> bytes:
    if isinstance(status, Good):
        return b"\x80\x00"
    if isinstance(status, Revoked):
        reason = b""
        if status.revocation_reason is not None:
            reason = tlv.element(_CONTEXT, tlv.element(tlv.ENUMERATED, bytes((status.revocation_reason.number,))))
        return tlv.element(_CONTEXT | 1, tlv.generalized_time(status.revocation_time) + reason)
    return b"\x82\x00"


def encode_successful(response_data_der: bytes, signature: bytes, *, algorithm_der: bytes, certs_der: bytes) -> bytes:
    """Encode a successful OCSPResponse around a signed ResponseData (RFC 6960, 4.2.1).

    ``algorithm_der`` is the AlgorithmIdentifier of the signature, ``certs_der`` the element ``[0] EXPLICIT certs`` of
    :func:`encode_certs`, or nothing; a responder makes both once.
    """
    start, before_signature = _around_response_data(
        len(response_data_der), algorithm_der, len(signature), len(certs_der)
    )
    return b"".join((start, response_data_der, before_signature, signature, certs_der))


@lru_cache(maxsize=1024)  # few lengths occur
def _around_response_data(
    response_data_octets: int, algorithm_der: bytes, signature_octets: int, certs_octets: int
) -> tuple[bytes, bytes]:
    """What stands before the ResponseData, and between it and the signature."""
    bit_string = tlv.element(tlv.BIT_STRING, bytes(1 + signature_octets))
    before_signature = algorithm_der + bit_string[: len(bit_string) - signature_octets]
    octets = response_data_octets + len(before_signature) + signature_octets + certs_octets
    basic_response = tlv.element(tlv.SEQUENCE, bytes(octets))
    response_bytes = tlv.element(tlv.SEQUENCE, _BASIC_RESPONSE + tlv.element(tlv.OCTET_STRING, basic_response))
    whole = tlv.element(tlv.SEQUENCE, _SUCCESSFUL + tlv.element(_CONTEXT, response_bytes))
    return whole[: len(whole) - octets], before_signature


def encode_certs(*certificates_der: bytes) -> bytes:
    """Encode ``certs [0] EXPLICIT SEQUENCE OF Certificate`` of a BasicOCSPResponse."""
    return tlv.element(_CONTEXT, tlv.sequence(*certificates_der))
