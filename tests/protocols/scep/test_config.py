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
from tests.support.authorities import shipped_profiles
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


@pytest.mark.requirement("R-CEG-039")
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


def test_profiles_that_are_not_there_or_for_nobody_are_problems() -> None:
    configuration = section({"profiles": ["tls-client", "basic-ca-root"]}, profiles=["tls-server", "nothing"])
    problems = configuration.inspect_profiles(shipped_profiles())
    assert [each.key for each in problems] == [("profiles", 1), ("services", 0, "profiles", 1)]
    assert section(profiles=["scep-digital-signature"]).inspect_profiles(shipped_profiles()) == ()


def test_a_profile_that_makes_no_registration_authority_is_a_problem() -> None:
    entries = [{"ca": CA, "profile": "scep-digital-signature"}]
    [problem] = section(profiles=[], registration_authorities=entries).inspect_profiles(shipped_profiles())
    assert problem.key == ("registration_authorities", 0, "profile")


INTUNE = {
    "ca": CA,
    "azure_application_id": "6731de76-14a6-49ae-97bc-6eba6914391e",
    "azure_tenant": "example.onmicrosoft.com",
    "application_secret": {"store": "intune"},
}


def test_a_ca_for_intune_has_a_registration_authority_and_needs_no_service() -> None:
    assert section(services=[], intune=[INTUNE]).intune[0].ca == CA
    with pytest.raises(ValidationError, match=f"registration_authorities: there is none for {CA}"):
        section(services=[], intune=[INTUNE], registration_authorities=[])


def test_what_intune_says_of_itself_is_told_with_its_key(tmp_path: Path) -> None:
    odd = {**INTUNE, "profiles": ["nothing"], "endpoints": {"graph_api_version": "1.0"}}
    configuration = section(intune=[odd])
    [warning] = configuration.inspect(tmp_path, FrozenClock().now()).warnings
    assert warning.key == ("intune", 0, "endpoints")
    assert ("intune", 0, "profiles", 0) in [each.key for each in configuration.inspect_profiles(shipped_profiles())]


def test_a_file_of_intune_that_does_not_open_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "intune.p12").write_bytes(b"no PKCS #12")
    by_file = {"application_p12": "intune.p12", "application_p12_password": {"store": "intune"}}
    configuration = section(intune=[{**INTUNE, "application_secret": None, **by_file}])
    found = configuration.inspect_secrets(tmp_path, FrozenClock().now(), lambda _: b"sesame")
    assert [each.key for each in found.problems] == [("intune", 0, "application_p12")]
