"""Any CertReqMessages come back as they were written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.crmf.decoding import decode_cert_req_messages
from cspd.x509.crmf.encoding import encode_cert_req_messages
from cspd.x509.crmf.messages import CertReqMsg
from tests.fuzz.crmf_messages import requests


@given(st.lists(requests(), min_size=1, max_size=3))
def test_any_messages_come_back(messages: list[CertReqMsg]) -> None:
    written = encode_cert_req_messages(tuple(messages))
    read = decode_cert_req_messages(written)
    assert read == tuple(messages)
    assert encode_cert_req_messages(read) == written
