"""Terms of certificates, and the subjects that follow from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cspd.authority.values import CAReference
from cspd.certified_keys.values import CertificateTerms
from cspd.keys.values import KeyType
from cspd.x509.names import format_name, parse_name

TERMS = CertificateTerms(
    ca=CAReference("demo", "issuing"),
    profile="p",
    subject=None,
    key_type=KeyType.RSA_2048,
    keys=None,
    role="SCEP RA",
)


@pytest.mark.parametrize(
    ("ca", "subject"),
    [
        ("CN=Devices,O=Example,C=DE", "CN=Devices SCEP RA,O=Example,C=DE"),
        ("O=Example", "CN=SCEP RA,O=Example"),
        (f"CN={'a' * 64}", f"CN={'a' * 56} SCEP RA"),
        ("CN=One,CN=Other,O=Example", "CN=One SCEP RA,O=Example"),
        ("CN=Devices+serialNumber=1,O=Example", "CN=Devices SCEP RA,O=Example"),
    ],
)
def test_the_subject_is_the_cas_with_the_role_in_its_common_name(ca: str, subject: str) -> None:
    assert format_name(TERMS.subject_under(parse_name(ca))) == subject


def test_the_subject_of_conf_counts_instead() -> None:
    terms = replace(TERMS, subject="CN=RA,O=Example")
    assert format_name(terms.subject_under(parse_name("CN=Devices"))) == "CN=RA,O=Example"


@pytest.mark.parametrize(
    "change",
    [
        {"ca": CAReference("demo", "other")},
        {"profile": "q"},
        {"subject": "CN=RA"},
        {"key_type": KeyType.RSA_3072},
        {"keys": "token"},
    ],
    ids=str,
)
def test_each_of_the_terms_makes_others(change: dict[str, object]) -> None:
    assert replace(TERMS, **change).digest != TERMS.digest  # type: ignore[arg-type]  # each of its field's type
