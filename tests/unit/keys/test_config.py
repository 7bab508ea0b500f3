"""What ``[keys]`` accepts, and what it says about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cspd.keys.config import KeysConfig, Vendor

TOKEN = {"module": "/usr/lib/softhsm/libsofthsm2.so", "token_label": "demo", "pin": {"file": "hsm.pin"}}
SOFTWARE = {"master_key": {"file": "master.key"}}


def problem_of(section: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        KeysConfig.model_validate(section)
    return str(error.value)


def test_defaults() -> None:
    configuration = KeysConfig.model_validate({"software": SOFTWARE, "pkcs11": {"hsm": TOKEN}})
    assert configuration.default == "software"
    assert (configuration.pkcs11["hsm"].sessions, configuration.pkcs11["hsm"].vendor) == (4, Vendor.NONE)


@pytest.mark.requirement("R-PLAT-110")
@pytest.mark.parametrize("vendor", ["none", "nshield", "thales"])
def test_the_vendors(vendor: str) -> None:
    token = {**TOKEN, "vendor": vendor, "sessions": 8, "environment": {"CKNFAST_LOADSHARING": "1"}}
    configuration = KeysConfig.model_validate({"default": "hsm", "pkcs11": {"hsm": token}})
    assert configuration.pkcs11["hsm"].vendor.value == vendor
    assert configuration.environment() == {"CKNFAST_LOADSHARING": "1"}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        pytest.param({}, "no place for keys", id="nothing"),
        pytest.param({"pkcs11": {"hsm": TOKEN}}, 'default = "software" is not configured; there is: hsm', id="default"),
        pytest.param({"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "module": "lib.so"}}}, "absolute", id="module"),
        pytest.param({"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "sessions": 0}}}, "greater than", id="sessions"),
        pytest.param({"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "vendor": "ibm"}}}, "nshield", id="vendor"),
        pytest.param(
            {"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "token_label": "ä" * 17}}}, "32 octets", id="label"
        ),
        pytest.param({"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "pin": "1234"}}}, "pin", id="pin in the clear"),
        pytest.param({"software": SOFTWARE, "pkcs11": {"software": TOKEN}}, 'the name "software"', id="taken name"),
        pytest.param({"software": SOFTWARE, "pkcs11": {"a:b": TOKEN}}, "pattern", id="name"),
        pytest.param({"software": {**SOFTWARE, "cipher": "none"}}, "Extra inputs", id="unknown key"),
    ],
)
def test_what_is_refused(section: dict[str, Any], said: str) -> None:
    assert said in problem_of(section)


@pytest.mark.requirement("R-TSA-063")
@pytest.mark.parametrize("missing", ["token_label", "pin", "sessions"])
@pytest.mark.parametrize("vendor", ["nshield", "thales"])
def test_a_vendors_token_needs_label_pin_and_sessions(vendor: str, missing: str) -> None:
    token = {**TOKEN, "vendor": vendor, "sessions": 8}
    KeysConfig.model_validate({"default": "hsm", "pkcs11": {"hsm": token}})
    problem = problem_of({"default": "hsm", "pkcs11": {"hsm": {k: v for k, v in token.items() if k != missing}}})
    assert (
        f"{missing} with vendor" in problem if missing == "sessions" else f"hsm.{missing}\n  Field required" in problem
    )


@pytest.mark.requirement("R-TSA-063")
def test_the_built_in_software_keys_need_none_of_them() -> None:
    assert KeysConfig.model_validate({"software": SOFTWARE}).pkcs11 == {}


@pytest.mark.requirement("R-PLAT-110")
@pytest.mark.requirement("R-TSA-072")
def test_one_deployment_has_one_vendor() -> None:
    tokens = {name: {**TOKEN, "vendor": name, "sessions": 8} for name in ("nshield", "thales")}
    assert "one deployment has the modules of one vendor only" in problem_of({"default": "nshield", "pkcs11": tokens})


def test_tokens_must_not_disagree_about_the_environment() -> None:
    tokens = {"a": {**TOKEN, "environment": {"X": "1"}}, "b": {**TOKEN, "environment": {"X": "2"}}}
    assert "pkcs11.b.environment.X" in problem_of({"default": "a", "pkcs11": tokens})


def test_a_pin_in_the_clear_is_not_printed() -> None:
    section = {"default": "hsm", "pkcs11": {"hsm": {**TOKEN, "pin": {"value": "hunter2"}}}}
    assert "hunter2" not in problem_of(section)
