"""``[protocols.scep]``: what is refused, what is warned of, and which terms come of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.authority.values import CAReference
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.config import SCEPConfig
from tests.support.clocks import FrozenClock

CA = "demo~issuing"


def section(service: Any = None, **values: Any) -> SCEPConfig:
    """A section with one service."""
    given = {"profiles": ["p"], "services": [{"ca": CA, **(service or {})}], "registration_authorities": [{"ca": CA}]}
    return SCEPConfig.model_validate({**given, **values})


@pytest.mark.requirement("R-CEG-012", "R-CEGI-005")
@pytest.mark.parametrize("name", ["mdm", "intune", "nop"])
def test_names_that_end_other_paths_are_no_profiles(name: str) -> None:
    for values in ({"profiles": [name]}, {"service": {"profiles": [name]}}):
        with pytest.raises(ValidationError, match=f"{name} ends other paths"):
            section(**values)  # type: ignore[arg-type]  # a table


def test_a_ca_stands_there_once() -> None:
    with pytest.raises(ValidationError, match=f"services: {CA} stands there twice"):
        section(services=[{"ca": CA}, {"ca": CA}])


@pytest.mark.requirement("R-CEGI-007")
def test_a_ca_that_is_served_has_a_registration_authority() -> None:
    with pytest.raises(ValidationError, match=f"registration_authorities: there is none for {CA}"):
        section(registration_authorities=[])


@pytest.mark.parametrize("name", ["issuing", "a~b~c", "~b", ""])
def test_a_ca_is_named_with_its_organization(name: str) -> None:
    with pytest.raises(ValidationError):
        section({"ca": name})


@pytest.mark.requirement("R-CEG-068", "R-CEG-070")
def test_without_a_word_nothing_is_revoked_or_waived() -> None:
    configuration = section()
    terms = configuration.terms(configuration.services[0], "p")
    assert (terms.ca, terms.profile) == (CAReference("demo", "issuing"), "p")
    assert not terms.revoke_replaced
    assert not terms.renewal_without_challenge
    assert not terms.approval
    assert terms.policy == AlgorithmPolicy()


def test_a_service_says_what_is_otherwise() -> None:
    configuration = section(
        {"profiles": ["q"], "allow_sha1": False, "allow_des": True, "approval": True, "revoke_replaced": True},
        allow_sha1=True,
        allow_des3=True,
        approval_lifetime="1d",
    )
    [service] = configuration.services
    assert list(configuration.profiles_of(service)) == ["q"]
    terms = configuration.terms(service, "q")
    assert terms.policy == AlgorithmPolicy(allow_sha1=False, allow_des3=True, allow_des=True)
    assert (terms.approval, terms.approval_lifetime, terms.revoke_replaced) == (True, timedelta(days=1), True)


def test_what_is_insecure_is_warned_of(tmp_path: Path) -> None:
    now = FrozenClock().now()
    assert section().inspect(tmp_path, now).warnings == []
    [warning] = section({"insecure": True}).inspect(tmp_path, now).warnings
    assert warning.key == ("services", 0, "insecure")
