"""What GetCACert and GetNextCACert give."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data, verify_signer
from cspd.x509.cms.values import DATA
from protocols.scep.ca_certificates import (
    decode_ca_certificates,
    encode_ca_certificates,
    encode_next_ca_certificates,
)
from protocols.scep.errors import DecodeError
from tests.protocols.scep.vectors import ra_certificate, rsa_key
from tests.support.running import result_of
from tests.support.scep_client import certificate_of, signer_with

CA = certificate_of(rsa_key("ca"), "a CA").public_bytes(Encoding.DER)
RA = ra_certificate().public_bytes(Encoding.DER)


def test_one_certificate_is_sent_bare() -> None:
    assert encode_ca_certificates([CA]) == ("application/x-x509-ca-cert", CA)
    assert decode_ca_certificates(*encode_ca_certificates([CA])) == (CA,)


def test_several_certificates_are_sent_in_a_message_without_signer() -> None:
    for certificates in ([RA, CA], [CA, RA]):
        media_type, body = encode_ca_certificates(certificates)
        assert media_type == "application/x-x509-ca-ra-cert"
        assert list(decode_ca_certificates(media_type, body)) == certificates
        assert read_signed_data(body).signers == ()


def test_what_is_no_such_message_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_ca_certificates("application/x-x509-ca-ra-cert", CA)


def test_the_next_certificates_are_signed_by_who_signs_now() -> None:
    signer = signer_with(rsa_key("ra now"), ra_certificate(), hashes.SHA256())
    signed = read_signed_data(result_of(encode_next_ca_certificates([CA], signer)))
    [info] = signed.signers
    assert find_certificate(info, certificates_of(signed)) == ra_certificate()
    assert signed.content is not None
    verify_signer(info, rsa_key("ra now").public_key(), content_type=DATA, content=signed.content)
    assert decode_ca_certificates("application/x-x509-ca-ra-cert", signed.content) == (CA,)
