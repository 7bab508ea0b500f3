"""The words of issuance."""

from __future__ import annotations

import pytest

from cspd.authority.values import CAReference, RevocationReason
from cspd.refusals import Malformed


@pytest.mark.requirement("R-CA-061")
def test_a_ca_reference_is_organization_tilde_ca_id() -> None:
    reference = CAReference.parse("demo~issuing")
    assert reference == CAReference("demo", "issuing")
    assert str(reference) == "demo~issuing"


@pytest.mark.parametrize("text", ["", "demo", "~", "demo~", "~issuing", "a~b~c"])
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        CAReference.parse(text)


def test_reasons_have_their_numbers_of_rfc_5280() -> None:
    assert {reason.value: reason.number for reason in RevocationReason} == {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "removeFromCRL": 8,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
    assert all(RevocationReason.from_number(reason.number) is reason for reason in RevocationReason)


@pytest.mark.parametrize("number", [-1, 7, 11])
def test_numbers_that_rfc_5280_does_not_have(number: int) -> None:
    with pytest.raises(ValueError, match="no CRLReason"):
        RevocationReason.from_number(number)
