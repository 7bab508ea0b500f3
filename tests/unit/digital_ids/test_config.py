"""What the section may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
from cspd.digital_ids.assembly import unknown_profiles
from cspd.digital_ids.config import DigitalIDsConfig
from cspd.refusals import Forbidden, NotFound
from cspd.x509.names import format_name
from tests.support.authorities import shipped_profiles
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import SOUND, install
from tests.unit.digital_ids.office import ANN, LAPTOPS, PHONES, Office, section


def test_a_sound_section() -> None:
    [phones, laptops] = section().configurations
    assert format_name(phones.value().subject(ANN)) == "CN=Ann Lee,OU=Devices,O=My Company,C=US"
    assert laptops.value().parent.rdns == []
    assert unknown_profiles(section(), shipped_profiles()) == []


@pytest.mark.requirement("R-CEG-033")
@pytest.mark.requirement("R-CEGI-078")
@pytest.mark.parametrize("missing", ["token_lifetime", "cleanup_schedule"])
def test_lifetime_and_schedule_have_no_default(missing: str) -> None:
    values: dict[str, Any] = {"token_lifetime": "60s", "cleanup_schedule": "0 0 * * * *"}
    DigitalIDsConfig.model_validate(values)
    del values[missing]
    with pytest.raises(ValidationError, match=missing):
        DigitalIDsConfig.model_validate(values)


@pytest.mark.requirement("R-CEG-032")
@pytest.mark.requirement("R-CEG-033")
@pytest.mark.requirement("R-CEGI-078")
@pytest.mark.parametrize(
    "values",
    [
        {"token_lifetime": "0s"},
        {"token_lifetime": "999ms"},
        {"token_lifetime": "400d"},
        {"token_lifetime": 60},
        {"cleanup_schedule": "0 0 * * *"},
        {"cleanup_schedule": ""},
        {"configurations": [PHONES, PHONES]},
        {"configurations": [{**PHONES, "name": "abc"}]},
        {"configurations": [{**PHONES, "name": "a/bcd"}]},
        {"configurations": [{**PHONES, "name": " abcd"}]},
        {"configurations": [{**PHONES, "name": "Intune"}]},
        {"configurations": [{**PHONES, "name": "caf\u00e9s"}]},
        {"configurations": [{**PHONES, "ca": "issuing"}]},
        {"configurations": [{**PHONES, "parent_dn": "Devices"}]},
        {"configurations": [{**PHONES, "rdn_format": "cn=Ann"}]},
    ],
)
def test_what_it_may_not_say(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**values)


def test_one_second_and_names_with_spaces_are_allowed() -> None:
    section(token_lifetime="1s", configurations=[{**PHONES, "name": "A b_c-9"}])


def test_profiles_that_nobody_can_have_are_told_by_their_place() -> None:
    told = unknown_profiles(section(configurations=[LAPTOPS, {**PHONES, "profile": "nonsense"}]), shipped_profiles())
    assert [each.key for each in told] == [("digital_ids", "configurations", 1, "profile")]


@pytest.mark.requirement("R-CEG-085")
def test_unknown_names_are_refused() -> None:
    office = Office()
    assert office.digital_ids.get("laptops").profile == "mdmws-digital-signature"
    with pytest.raises(NotFound) as refused:
        office.digital_ids.get("Laptops")
    assert refused.value.refusal_code == "no-such-digital-id"


@pytest.mark.requirement("R-CEG-051")
def test_pkcs12_is_for_profiles_that_allow_it() -> None:
    office = Office(allow_server_made_verification_keys=True)
    office.digital_ids.check_server_made_key(office.digital_ids.get("My Phones"))
    with pytest.raises(Forbidden) as refused:
        office.digital_ids.check_server_made_key(office.digital_ids.get("laptops"))
    assert refused.value.refusal_code == "no-pkcs12"


@pytest.mark.requirement("R-CEG-052")
@pytest.mark.parametrize(
    ("profile", "flag", "code"),
    [
        ("mdmws-p12-digital-signature", "allow_server_made_verification_keys", "verification-keys-not-allowed"),
        ("mdmws-p12-non-repudiation", "allow_server_made_nonrepudiation_keys", "nonrepudiation-keys-not-allowed"),
        ("mdmws-p12-key-encipherment", None, None),
    ],
)
def test_server_made_keys_that_sign_need_to_be_allowed(profile: str, flag: str | None, code: str | None) -> None:
    configured = [{**PHONES, "profile": profile}]
    for flags in ({}, {flag: True}) if flag else ({},):
        digital_ids = Office(configurations=configured, **flags).digital_ids
        if flag and not flags:
            with pytest.raises(Forbidden) as refused:
                digital_ids.check_server_made_key(digital_ids.get("My Phones"))
            assert refused.value.refusal_code == code
        else:
            assert digital_ids.check_server_made_key(digital_ids.get("My Phones")).id == profile


def test_conf_with_a_profile_that_nobody_can_have_is_refused_by_its_line(tmp_path: Path) -> None:
    text = SOUND + (
        '[digital_ids]\ntoken_lifetime = "60s"\ncleanup_schedule = "0 0 * * * *"\n\n[[digital_ids.configurations]]\n'
        'name = "Phones"\nca = "demo~issuing"\nprofile = "root"\nrdn_format = "cn=<serial>"\n'
    )
    path = install(tmp_path, text)
    line = text.splitlines().index('profile = "root"') + 1
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(path, environment={}, clock=FrozenClock())
    [problem] = refused.value.problems
    assert str(problem) == (
        f"{path}:{line}: digital_ids.configurations[0].profile: "
        'there is no profile "root" for users and devices. `cspctl profile list` shows them.'
    )
