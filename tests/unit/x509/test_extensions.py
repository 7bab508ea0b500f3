"""Requested extensions are read completely before they are copied."""

from __future__ import annotations

import pytest

from cspd.x509.extensions import ExtensionError, requested
from cspd.x509.object_identifiers import REQUEST_EXTENSIONS

SID = b"S-1-5-21-1004336348-1177238915-682003330-512"


def der(tag: int, *content: bytes) -> bytes:
    """One element with a short length."""
    body = b"".join(content)
    return bytes([tag, len(body)]) + body


def sid_extension(sid: bytes, inner_tag: int = 0x04, type_id: str = "060a2b060104018237190201") -> bytes:
    """The NTDS CA security extension of [MS-WCCE] around ``sid``."""
    return der(0x30, der(0xA0, bytes.fromhex(type_id), der(0xA0, der(inner_tag, sid))))


GOOD = {
    "certificatePolicies": bytes.fromhex("300630040602 2a03"),
    "extendedKeyUsage": bytes.fromhex("300a06082b06010505070302"),
    "applicationPolicies": bytes.fromhex("300c300a06082b06010505070302"),
    "smimeCapabilities": bytes.fromhex("300d300b060960864801650304012a"),
    "msTemplateOID": bytes.fromhex("300c06042a030405020164020100"),
    "msTemplateName": bytes.fromhex("1e080055007300650072"),
    "ntdsCaSecurityExt": sid_extension(SID),
    "pivInterimIndicator": bytes.fromhex("0101ff"),
}


@pytest.mark.parametrize(("name", "value"), GOOD.items(), ids=GOOD)
def test_a_well_formed_extension_is_copied_unchanged(name: str, value: bytes) -> None:
    extension = requested(REQUEST_EXTENSIONS[name], value, critical=False)
    assert extension.value.value == value
    assert extension.critical is False


def test_a_template_name_in_utf8_is_tolerated() -> None:
    """certreq writes a BMPString; OpenSSL configurations in the wild write UTF8String."""
    requested(REQUEST_EXTENSIONS["msTemplateName"], b"\x0c\x04User", critical=False)


BAD = {
    "an empty list of usages": ("extendedKeyUsage", "3000"),
    "usages that are no identifiers": ("extendedKeyUsage", "30030c0161"),
    "policies that are usages": ("certificatePolicies", "300a06082b06010505070302"),
    "an empty template name": ("msTemplateName", "1e00"),
    "an odd BMPString": ("msTemplateName", "1e03005500"),
    "a template without an identifier": ("msTemplateOID", "3003020101"),
    "an indicator that is no BOOLEAN": ("pivInterimIndicator", "020101"),
    "trailing bytes": ("pivInterimIndicator", "0101ff00"),
    "BER": ("extendedKeyUsage", "308006082b060105050703020000"),
    "a SID that is none": ("ntdsCaSecurityExt", sid_extension(b"admin").hex()),
    "a SID with a NUL": ("ntdsCaSecurityExt", sid_extension(SID + b"\0").hex()),
    "a SID as UTF8String": ("ntdsCaSecurityExt", sid_extension(SID, inner_tag=0x0C).hex()),
    "a SID of another type": ("ntdsCaSecurityExt", sid_extension(SID, type_id="06022a03").hex()),
    "a dNSName instead of a SID": ("ntdsCaSecurityExt", "30038201 61"),
}


@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD)
def test_a_malformed_extension_is_refused(name: str, value: str) -> None:
    with pytest.raises(ExtensionError):
        requested(REQUEST_EXTENSIONS[name], bytes.fromhex(value), critical=False)


def test_an_extension_that_nobody_knows_must_be_der() -> None:
    requested("1.2.3.4", b"\x05\x00", critical=False)
    with pytest.raises(ExtensionError):
        requested("1.2.3.4", b"hello", critical=False)


def test_an_extension_has_a_limit() -> None:
    with pytest.raises(ExtensionError, match="octets"):
        requested("1.2.3.4", b"\x04\x82\x10\x00" + bytes(4096), critical=False)
