"""A template becomes a request to issuance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from cspd.authority.crmf_requests import enrollment_request
from cspd.authority.values import CAReference, EnrollmentRequest, RequestedExtension, Requester
from cspd.refusals import BadExtension, BadPublicKey
from cspd.x509.crmf.messages import CertTemplate, Extension
from cspd.x509.general_name_encoding import encode_general_names
from tests.unit.x509.crmf.requests import FULL_TEMPLATE, PUBLIC_KEY_DER, TEMPLATE

NAMES = (x509.DNSName("client.example"),)


def asked(template: CertTemplate) -> EnrollmentRequest:
    return enrollment_request(
        template, ca=CAReference("demo", "issuing"), profile="tls", requester=Requester(protocol="cmp", identity="x")
    )


def test_a_template_becomes_a_request() -> None:
    names = Extension("2.5.29.17", True, encode_general_names(NAMES))
    assert FULL_TEMPLATE.extensions is not None
    request = asked(replace(FULL_TEMPLATE, extensions=(names, FULL_TEMPLATE.extensions[0])))
    assert request.public_key_der == PUBLIC_KEY_DER
    assert request.subject == FULL_TEMPLATE.subject
    assert request.subject_alt_names == NAMES
    assert request.extensions == (RequestedExtension(oid="2.5.29.15", critical=True, value_der=b"\x03\x02\x05\xa0"),)
    assert FULL_TEMPLATE.validity is not None
    assert request.not_before == FULL_TEMPLATE.validity.not_before
    assert request.not_after == FULL_TEMPLATE.validity.not_after


def test_what_a_template_does_not_say_is_left_to_the_profile() -> None:
    request = asked(TEMPLATE)
    assert request.subject_alt_names is None
    assert request.extensions == ()
    assert request.not_before is None
    assert request.not_after is None


def test_a_template_without_key_is_refused() -> None:
    with pytest.raises(BadPublicKey):
        asked(replace(TEMPLATE, public_key_der=None))


BAD = {
    "twice": (Extension("1.2", False, b""), Extension("1.2", False, b"")),
    "no names": (Extension("2.5.29.17", False, b"\x30\x00"),),
    "too long": (Extension("1.2", False, bytes(5000)),),
}


@pytest.mark.parametrize("extensions", BAD.values(), ids=BAD)
def test_a_bad_extension_is_refused(extensions: tuple[Extension, ...]) -> None:
    with pytest.raises(BadExtension):
        asked(replace(TEMPLATE, extensions=extensions))
