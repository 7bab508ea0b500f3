"""DER of the contents of a PKIBody, one pair of functions each (RFC 9810, 5.3); ``nested`` is in the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cspd.x509 import tlv
from cspd.x509.crmf.decoding import decode_cert_id, decode_cert_req_messages, decode_cert_template
from cspd.x509.crmf.encoding import encode_cert_id, encode_cert_req_messages, encode_cert_template
from cspd.x509.crmf.messages import CRMFError, EncryptedKey
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import encode_algorithm
from protocols.cmp.limits import Limits
from protocols.cmp.messages import (
    CertConfirmContent,
    CertifiedKeyPair,
    CertRepMessage,
    CertReqContent,
    CertResponse,
    CertStatus,
    ErrorMsgContent,
    GenMsgContent,
    PollRep,
    PollRepContent,
    PollReqContent,
    RevDetails,
    RevRepContent,
    RevReqContent,
)
from protocols.cmp.value_encoding import (
    encode_free_text,
    encode_info,
    encode_octets,
    encode_sequence_of,
    encode_status_info,
    encode_tagged,
    read_algorithm_identifier,
    read_certificate,
    read_info,
    read_octets,
    read_optional_free_text,
    read_sequence_of,
    read_small_integer,
    read_status_info,
    read_structure,
    tagged,
    unwalked_structure,
)

V = TypeVar("V")

MAX_HASH_OCTETS = 64
MAX_RSP_INFO_OCTETS = 4096
_CERTIFICATE, _ENCRYPTED_CERT, _ENVELOPED_DATA = 0xA0, 0xA1, 0xA0


def read_cert_req_content(cursor: Cursor, limits: Limits) -> CertReqContent:
    """Step over a CertReqMessages."""
    messages = _read_crmf(cursor, decode_cert_req_messages)
    if len(messages) > limits.requests:
        raise tlv.DERError(f"more than {limits.requests} requests")
    return CertReqContent(messages)


def encode_cert_req_content(content: CertReqContent) -> bytes:
    """Encode a CertReqMessages."""
    return encode_cert_req_messages(content.messages)


def read_cert_rep_message(cursor: Cursor, limits: Limits) -> CertRepMessage:
    """Step over a CertRepMessage."""
    fields = cursor.enter(tlv.SEQUENCE)
    ca_pubs = tagged(fields, 1, lambda inner: read_sequence_of(inner, read_certificate, limit=limits.extra_certs))
    response = read_sequence_of(
        fields, lambda inner: _read_cert_response(inner, limits), limit=limits.requests, at_least=0
    )
    fields.finish()
    return CertRepMessage(response, ca_pubs or ())


def encode_cert_rep_message(content: CertRepMessage) -> bytes:
    """Encode a CertRepMessage."""
    return tlv.sequence(
        encode_tagged(1, tlv.sequence(*content.ca_pubs_der) if content.ca_pubs_der else None),
        encode_sequence_of(content.response, _encode_cert_response),
    )


def _read_cert_response(cursor: Cursor, limits: Limits) -> CertResponse:
    fields = cursor.enter(tlv.SEQUENCE)
    response = CertResponse(
        cert_req_id=read_small_integer(fields),
        status=read_status_info(fields, limits),
        certified_key_pair=_read_certified_key_pair(fields) if fields.peek() == tlv.SEQUENCE else None,
        rsp_info=read_octets(fields, MAX_RSP_INFO_OCTETS) if fields.peek() == tlv.OCTET_STRING else None,
    )
    fields.finish()
    return response


def _encode_cert_response(response: CertResponse) -> bytes:
    pair = response.certified_key_pair
    return tlv.sequence(
        tlv.integer(response.cert_req_id),
        encode_status_info(response.status),
        b"" if pair is None else _encode_certified_key_pair(pair),
        b"" if response.rsp_info is None else encode_octets(response.rsp_info),
    )


def _read_certified_key_pair(cursor: Cursor) -> CertifiedKeyPair:
    fields = cursor.enter(tlv.SEQUENCE)
    certificate_der, encrypted_cert = b"", None
    if fields.peek() == _CERTIFICATE:
        certificate_der = tagged(fields, 0, read_certificate) or b""
    elif fields.peek() == _ENCRYPTED_CERT:
        encrypted_cert = tagged(fields, 1, _read_encrypted_key)
    else:
        raise tlv.DERError("a CertifiedKeyPair without a certificate")
    private_key = tagged(fields, 0, _read_encrypted_key)
    publication_info_der = tagged(fields, 1, read_structure) or b""
    fields.finish()
    return CertifiedKeyPair(certificate_der, encrypted_cert, private_key, publication_info_der)


def _encode_certified_key_pair(pair: CertifiedKeyPair) -> bytes:
    encrypted, private = pair.encrypted_cert, pair.private_key
    return tlv.sequence(
        encode_tagged(0, pair.certificate_der),
        encode_tagged(1, None if encrypted is None else _encode_encrypted_key(encrypted)),
        encode_tagged(0, None if private is None else _encode_encrypted_key(private)),
        encode_tagged(1, pair.publication_info_der),
    )


def _read_encrypted_key(cursor: Cursor) -> EncryptedKey:
    """An EncryptedKey, whose EnvelopedData is tagged implicitly, as everything of RFC 4211 is."""
    if cursor.peek() == _ENVELOPED_DATA:
        return EncryptedKey(bytes((tlv.SEQUENCE,)) + cursor.element()[1:])
    return EncryptedKey(read_structure(cursor), is_enveloped_data=False)


def _encode_encrypted_key(key: EncryptedKey) -> bytes:
    return bytes((_ENVELOPED_DATA,)) + key.der[1:] if key.is_enveloped_data else key.der


def read_rev_req_content(cursor: Cursor, limits: Limits) -> RevReqContent:
    """Step over a RevReqContent."""
    return RevReqContent(read_sequence_of(cursor, _read_rev_details, limit=limits.requests))


def encode_rev_req_content(content: RevReqContent) -> bytes:
    """Encode a RevReqContent."""
    return encode_sequence_of(
        content.details,
        lambda details: tlv.sequence(encode_cert_template(details.cert_details), details.crl_entry_details_der),
    )


def _read_rev_details(cursor: Cursor) -> RevDetails:
    fields = cursor.enter(tlv.SEQUENCE)
    details = RevDetails(
        cert_details=_read_crmf(fields, decode_cert_template),
        crl_entry_details_der=b"" if fields.is_at_end else read_structure(fields),
    )
    fields.finish()
    return details


def read_rev_rep_content(cursor: Cursor, limits: Limits) -> RevRepContent:
    """Step over a RevRepContent."""
    fields = cursor.enter(tlv.SEQUENCE)
    status = read_sequence_of(fields, lambda inner: read_status_info(inner, limits), limit=limits.requests)
    rev_certs = tagged(
        fields,
        0,
        lambda inner: read_sequence_of(
            inner, lambda element: _read_crmf(element, decode_cert_id), limit=limits.requests
        ),
    )
    crls = tagged(fields, 1, lambda inner: read_sequence_of(inner, read_structure, limit=limits.requests))
    fields.finish()
    return RevRepContent(status, rev_certs or (), crls or ())


def encode_rev_rep_content(content: RevRepContent) -> bytes:
    """Encode a RevRepContent."""
    return tlv.sequence(
        encode_sequence_of(content.status, encode_status_info),
        encode_tagged(0, encode_sequence_of(content.rev_certs, encode_cert_id) if content.rev_certs else None),
        encode_tagged(1, tlv.sequence(*content.crls_der) if content.crls_der else None),
    )


def read_cert_confirm_content(cursor: Cursor, limits: Limits) -> CertConfirmContent:
    """Step over a CertConfirmContent."""
    return CertConfirmContent(
        read_sequence_of(cursor, lambda inner: _read_cert_status(inner, limits), limit=limits.requests, at_least=0)
    )


def encode_cert_confirm_content(content: CertConfirmContent) -> bytes:
    """Encode a CertConfirmContent."""
    return encode_sequence_of(content.statuses, _encode_cert_status)


def _read_cert_status(cursor: Cursor, limits: Limits) -> CertStatus:
    fields = cursor.enter(tlv.SEQUENCE)
    status = CertStatus(
        cert_hash=read_octets(fields, MAX_HASH_OCTETS),
        cert_req_id=read_small_integer(fields),
        status_info=read_status_info(fields, limits) if fields.peek() == tlv.SEQUENCE else None,
        hash_alg=tagged(fields, 0, read_algorithm_identifier),
    )
    fields.finish()
    return status


def _encode_cert_status(status: CertStatus) -> bytes:
    return tlv.sequence(
        encode_octets(status.cert_hash),
        tlv.integer(status.cert_req_id),
        b"" if status.status_info is None else encode_status_info(status.status_info),
        encode_tagged(0, None if status.hash_alg is None else encode_algorithm(status.hash_alg)),
    )


def read_gen_msg_content(cursor: Cursor, limits: Limits) -> GenMsgContent:
    """Step over a GenMsgContent or GenRepContent."""
    return GenMsgContent(read_sequence_of(cursor, read_info, limit=limits.general_info, at_least=0))


def encode_gen_msg_content(content: GenMsgContent) -> bytes:
    """Encode a GenMsgContent or GenRepContent."""
    return encode_sequence_of(content.items, encode_info)


def read_error_msg_content(cursor: Cursor, limits: Limits) -> ErrorMsgContent:
    """Step over an ErrorMsgContent."""
    fields = cursor.enter(tlv.SEQUENCE)
    content = ErrorMsgContent(
        pki_status_info=read_status_info(fields, limits),
        error_code=read_small_integer(fields) if fields.peek() == tlv.INTEGER else None,
        error_details=read_optional_free_text(fields, limits),
    )
    fields.finish()
    return content


def encode_error_msg_content(content: ErrorMsgContent) -> bytes:
    """Encode an ErrorMsgContent."""
    return tlv.sequence(
        encode_status_info(content.pki_status_info),
        b"" if content.error_code is None else tlv.integer(content.error_code),
        encode_free_text(content.error_details),
    )


def read_poll_req_content(cursor: Cursor, limits: Limits) -> PollReqContent:
    """Step over a PollReqContent."""
    return PollReqContent(read_sequence_of(cursor, _read_poll, limit=limits.requests))


def encode_poll_req_content(content: PollReqContent) -> bytes:
    """Encode a PollReqContent."""
    return encode_sequence_of(content.cert_req_ids, lambda cert_req_id: tlv.sequence(tlv.integer(cert_req_id)))


def _read_poll(cursor: Cursor) -> int:
    fields = cursor.enter(tlv.SEQUENCE)
    cert_req_id = read_small_integer(fields)
    fields.finish()
    return cert_req_id


def read_poll_rep_content(cursor: Cursor, limits: Limits) -> PollRepContent:
    """Step over a PollRepContent."""
    return PollRepContent(read_sequence_of(cursor, lambda inner: _read_poll_rep(inner, limits), limit=limits.requests))


def encode_poll_rep_content(content: PollRepContent) -> bytes:
    """Encode a PollRepContent."""
    return encode_sequence_of(content.replies, _encode_poll_rep)


def _read_poll_rep(cursor: Cursor, limits: Limits) -> PollRep:
    fields = cursor.enter(tlv.SEQUENCE)
    reply = PollRep(
        cert_req_id=read_small_integer(fields),
        check_after=read_small_integer(fields),
        reason=read_optional_free_text(fields, limits),
    )
    fields.finish()
    return reply


def _encode_poll_rep(reply: PollRep) -> bytes:
    return tlv.sequence(tlv.integer(reply.cert_req_id), tlv.integer(reply.check_after), encode_free_text(reply.reason))


def _read_crmf(cursor: Cursor, decode: Callable[[bytes], V]) -> V:
    try:
        return decode(unwalked_structure(cursor))
    except CRMFError as error:
        raise tlv.DERError(str(error)) from error
