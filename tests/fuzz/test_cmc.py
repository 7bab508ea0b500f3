"""Any full PKI request and response comes back as it was written."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.cmc.codec import decode_pki_data, decode_pki_response, encode_pki_data, encode_pki_response
from cspd.x509.cmc.messages import (
    CMCFailInfo,
    CMCStatus,
    CMCStatusInfo,
    CMCStatusInfoV2,
    DataReturn,
    GetCert,
    Identification,
    IdentityProofV2,
    OtherMsg,
    OtherRequest,
    PendInfo,
    PKIData,
    PKIResponse,
    PopLinkWitnessV2,
    QueryPending,
    RecipientNonce,
    RegInfo,
    ResponseInfo,
    RevokeRequest,
    SenderNonce,
    TaggedAttribute,
    TaggedCertificationRequest,
    TaggedCertReqMsg,
    TaggedContentInfo,
    TransactionID,
    UnknownControl,
)
from cspd.x509.crmf.messages import CertReqMsg
from tests.fuzz.crmf_messages import ALGORITHMS, GENERAL_NAMES, INTEGERS, NAMES, TEXTS, TIMES, VALUES, requests

NUMBERS = st.integers(0, 2**32 - 1)
OCTETS = st.binary(max_size=60)
UNKNOWN_OIDS = st.sampled_from(("1.2.3", "1.3.6.1.5.5.7.7.24"))
STATUS = {
    "cmc_status": st.sampled_from(CMCStatus),
    "body_list": st.lists(NUMBERS, min_size=1, max_size=4).map(tuple),
    "status_string": st.none() | TEXTS,
    "other_info": st.none() | st.sampled_from(CMCFailInfo) | st.builds(PendInfo, OCTETS, TIMES),
}
CONTROLS = st.one_of(
    st.builds(CMCStatusInfo, **STATUS),
    st.builds(CMCStatusInfoV2, **STATUS),
    st.builds(Identification, TEXTS),
    st.builds(IdentityProofV2, ALGORITHMS, ALGORITHMS, OCTETS),
    st.builds(PopLinkWitnessV2, ALGORITHMS, ALGORITHMS, OCTETS),
    st.builds(TransactionID, INTEGERS),
    *(st.builds(kind, OCTETS) for kind in (SenderNonce, RecipientNonce, DataReturn, RegInfo, ResponseInfo)),
    st.builds(QueryPending, OCTETS),
    st.builds(GetCert, GENERAL_NAMES, INTEGERS),
    st.builds(
        RevokeRequest,
        issuer_name=NAMES,
        serial_number=INTEGERS,
        reason=st.integers(-1, 2**40),
        invalidity_date=st.none() | TIMES,
        shared_secret=st.none() | OCTETS,
        comment=st.none() | TEXTS,
    ),
    st.builds(UnknownControl, UNKNOWN_OIDS, st.lists(VALUES, max_size=3).map(tuple)),
)
ATTRIBUTES = st.lists(
    st.builds(TaggedAttribute, NUMBERS, CONTROLS), max_size=5, unique_by=lambda each: each.body_part_id
)
REQUESTS = st.lists(
    st.builds(TaggedCertificationRequest, NUMBERS, VALUES)
    | requests(NUMBERS).map(TaggedCertReqMsg)
    | st.builds(OtherRequest, NUMBERS, UNKNOWN_OIDS, VALUES),
    max_size=3,
)
CONTENTS = st.lists(st.builds(TaggedContentInfo, NUMBERS, VALUES), max_size=2).map(tuple)
OTHERS = st.lists(st.builds(OtherMsg, NUMBERS, UNKNOWN_OIDS, VALUES), max_size=2).map(tuple)


def _numbered(message: PKIData) -> PKIData:
    """With a number of its own for every part, as RFC 5272, 3.2.1 asks."""
    numbers = iter(range(1, 2**32, 300_000_007))
    return PKIData(
        control_sequence=tuple(replace(each, body_part_id=next(numbers)) for each in message.control_sequence),
        req_sequence=tuple(
            TaggedCertReqMsg(_renumbered(each.message, next(numbers)))
            if isinstance(each, TaggedCertReqMsg)
            else replace(each, body_part_id=next(numbers))
            for each in message.req_sequence
        ),
        cms_sequence=tuple(replace(each, body_part_id=next(numbers)) for each in message.cms_sequence),
        other_msg_sequence=tuple(replace(each, body_part_id=next(numbers)) for each in message.other_msg_sequence),
    )


def _renumbered(message: CertReqMsg, number: int) -> CertReqMsg:
    return replace(message, cert_req=replace(message.cert_req, cert_req_id=number))


@given(
    st.builds(
        PKIData,
        control_sequence=ATTRIBUTES.map(tuple),
        req_sequence=REQUESTS.map(tuple),
        cms_sequence=CONTENTS,
        other_msg_sequence=OTHERS,
    ).map(_numbered)
)
def test_any_request_comes_back(message: PKIData) -> None:
    written = encode_pki_data(message)
    read = decode_pki_data(written)
    assert read == message
    assert encode_pki_data(read) == written


@given(st.builds(PKIResponse, control_sequence=ATTRIBUTES.map(tuple), cms_sequence=CONTENTS, other_msg_sequence=OTHERS))
def test_any_response_comes_back(message: PKIResponse) -> None:
    written = encode_pki_response(message)
    read = decode_pki_response(written)
    assert read == message
    assert encode_pki_response(read) == written
