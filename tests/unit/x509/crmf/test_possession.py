"""A signature by the key is a proof; one by another key, over something else or for somebody else is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.crmf.decoding import decode_cert_req_messages, decode_cert_req_msg
from cspd.x509.crmf.encoding import encode_cert_req_msg
from cspd.x509.crmf.messages import CertReqMsg, CertTemplate, PKMACValue, POPOSigningKey, ProofOfPossession
from cspd.x509.crmf.possession import ProofOfPossessionError, verify_signature_popo
from cspd.x509.public_keys import PublicKeyError
from tests.unit.x509.crmf.requests import (
    CORPUS,
    MAC,
    NAME,
    PROOFS,
    PUBLIC_KEY_DER,
    SENDER,
    TEMPLATE,
    message,
    signed,
    signed_input,
)

WITHOUT_SIGNATURE = ("none", "raverified", "keyenc")
WITHOUT_SUBJECT = ("no-subject", "empty-subject")


@pytest.mark.parametrize("name", [name for name in CORPUS if not any(word in name for word in WITHOUT_SIGNATURE)])
def test_what_openssl_signed_is_a_proof_if_it_names_a_subject(name: str) -> None:
    (asked,) = decode_cert_req_messages(CORPUS[name])
    if any(word in name for word in WITHOUT_SUBJECT):
        with pytest.raises(ProofOfPossessionError, match="POPOSigningKeyInput"):
            verify_signature_popo(asked)
    else:
        verify_signature_popo(asked)


def test_what_was_read_is_what_is_verified() -> None:
    """The fields may have other encodings; the signature is over the octets that came."""
    verify_signature_popo(signed())
    read = decode_cert_req_msg(encode_cert_req_msg(signed()))
    verify_signature_popo(read)
    changed = replace(read, cert_req=replace(read.cert_req, encoded=read.cert_req.encoded + b"\x00"))
    with pytest.raises(ProofOfPossessionError, match="not signed by the key"):
        verify_signature_popo(changed)


def test_another_request_with_the_same_signature_is_refused() -> None:
    moved = replace(message(replace(TEMPLATE, subject=x509.Name([]))), popo=signed().popo)
    with pytest.raises(ProofOfPossessionError, match="not signed by the key"):
        verify_signature_popo(moved)


@pytest.mark.parametrize("popo", [popo for popo in PROOFS if not isinstance(popo, POPOSigningKey)], ids=repr)
def test_other_proofs_are_no_signature(popo: ProofOfPossession | None) -> None:
    with pytest.raises(ProofOfPossessionError, match="no signature"):
        verify_signature_popo(replace(message(), popo=popo))


def test_a_template_without_key_is_refused() -> None:
    with pytest.raises(ProofOfPossessionError, match="no public key"):
        verify_signature_popo(signed(CertTemplate(subject=NAME)))


def test_a_key_that_cannot_be_read_is_refused() -> None:
    empty = tlv.sequence(tlv.sequence(tlv.object_identifier("1.2.840.10045.2.1")), b"\x03\x01\x00")
    with pytest.raises(PublicKeyError):
        verify_signature_popo(signed(replace(TEMPLATE, public_key_der=empty)))


def refuse(mac: PKMACValue, octets: bytes) -> None:
    raise ProofOfPossessionError("the MAC does not fit")


def test_a_signed_input_binds_the_key_to_the_authenticated_sender() -> None:
    without_subject = CertTemplate(public_key_der=PUBLIC_KEY_DER)
    asked = decode_cert_req_msg(encode_cert_req_msg(signed_input(SENDER, without_subject)))
    verify_signature_popo(asked, sender=SENDER)
    for sender in (None, x509.DNSName("client"), x509.DirectoryName(x509.Name([]))):
        with pytest.raises(ProofOfPossessionError, match="another sender"):
            verify_signature_popo(asked, sender=sender)


def test_a_signed_input_binds_the_key_to_a_secret() -> None:
    verified: list[tuple[PKMACValue, bytes]] = []
    asked = decode_cert_req_msg(encode_cert_req_msg(signed_input(MAC)))
    verify_signature_popo(asked, verify_mac=lambda mac, octets: verified.append((mac, octets)))
    assert verified == [(MAC, PUBLIC_KEY_DER)]
    with pytest.raises(ProofOfPossessionError, match="does not fit"):
        verify_signature_popo(asked, verify_mac=refuse)
    with pytest.raises(ProofOfPossessionError, match="no shared secret"):
        verify_signature_popo(asked, sender=SENDER)


@pytest.mark.parametrize(
    "asked",
    [
        signed_input(SENDER, public_key_der=tlv.sequence(PUBLIC_KEY_DER)),
        signed_input(SENDER, replace(TEMPLATE, public_key_der=tlv.sequence())),
    ],
)
def test_a_signed_input_for_another_key_is_refused(asked: CertReqMsg) -> None:
    with pytest.raises(ProofOfPossessionError, match="another key"):
        verify_signature_popo(asked, sender=SENDER)
