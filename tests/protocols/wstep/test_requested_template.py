from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import BadExtension
from cspd.x509 import tlv
from protocols.wstep.microsoft import (
    CERTIFICATE_TEMPLATE,
    CERTIFICATE_TEMPLATE_NAME,
    decode_certificate_template,
    decode_template_name,
    encode_application_policies,
    encode_certificate_template,
    encode_security_identifier,
    encode_template_name,
)
from protocols.wstep.requested_template import TemplateName, TemplateOID, requested_template
from tests.protocols.wstep.accounts import csr

OID = "1.3.6.1.4.1.311.21.8.1.2.3"


@pytest.mark.requirement("R-CEG-144")
def test_a_request_names_its_template_in_one_of_its_extensions() -> None:
    by_oid = (CERTIFICATE_TEMPLATE, encode_certificate_template(OID, 100, 4))
    by_name = (CERTIFICATE_TEMPLATE_NAME, encode_template_name("User"))
    assert requested_template(csr(extensions=[by_oid])) == TemplateOID(OID)
    assert requested_template(csr(extensions=[by_name])) == TemplateName("User")
    assert requested_template(csr(extensions=[by_name, by_oid]), name="Beside") == TemplateOID(OID)
    assert requested_template(csr(extensions=[by_name]), name="Beside") == TemplateName("User")
    assert requested_template(csr(), name="Beside") == TemplateName("Beside")
    assert requested_template(csr()) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("1e08005500730065", None),
        ("1e080055007300650072", "User"),
        ("0c0455736572", "User"),
        ("30060c0455736572", "User"),
        ("130455736572", None),
        ("0c00", None),
        ("1e00", None),
        ("0c0155ff", None),
        ("0c02c3", None),
        ("1e0155", None),
        ("0c0355000a", None),
    ],
)
def test_names_of_templates(value: str, name: str | None) -> None:
    """BMPString is what Windows sends, the SEQUENCE what its document says."""
    octets = bytes.fromhex(value)
    if name is None:
        with pytest.raises(tlv.DERError):
            decode_template_name(octets)
    else:
        assert decode_template_name(octets) == name


@pytest.mark.parametrize("value", [b"\x1e\x01a", b"\x05\x00", b"\x30\x00"])
def test_an_extension_that_cannot_be_read_is_refused(value: bytes) -> None:
    with pytest.raises(BadExtension):
        requested_template(csr(extensions=[(CERTIFICATE_TEMPLATE_NAME, value)]))


def test_versions_are_optional() -> None:
    assert decode_certificate_template(tlv.sequence(tlv.object_identifier(OID))) == OID
    assert decode_certificate_template(tlv.sequence(tlv.object_identifier(OID), tlv.integer(1))) == OID
    for damaged in (
        tlv.sequence(tlv.integer(1)),
        tlv.sequence(tlv.object_identifier(OID), tlv.integer(1), tlv.integer(1), tlv.integer(1)),
        tlv.sequence(tlv.object_identifier(OID)) + b"\0",
    ):
        with pytest.raises(tlv.DERError):
            decode_certificate_template(damaged)


@given(st.binary(max_size=60))
def test_any_octets_are_a_template_or_an_error(octets: bytes) -> None:
    with suppress(tlv.DERError):
        decode_certificate_template(octets)
    with suppress(tlv.DERError):
        assert decode_template_name(octets).isprintable()


def test_what_is_written_byte_for_byte() -> None:
    assert encode_security_identifier("S-1-5-21-1").hex() == (
        "301ca01a060a2b060104018237190201a00c040a" + b"S-1-5-21-1".hex()
    )
    assert encode_certificate_template("1.2.3", 100, 4).hex() == "300a06022a03020164020104"
    assert encode_template_name("User").hex() == "1e080055007300650072"
    assert encode_application_policies(["1.2.3", "1.2.4"]).hex() == "300c300406022a03300406022a04"
