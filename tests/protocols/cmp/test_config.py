"""The section, and the paths that it makes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.authority.values import CAReference
from cspd.refusals import Malformed, NotFound
from protocols.cmp.config import CMPConfig, ExcludedCheck
from protocols.cmp.labels import Labels
from tests.unit.http.certificates import make

NOW = make("now").certificate.not_valid_before_utc + timedelta(days=1)
LABEL = {"id": "devices", "ca": "demo~issuing", "profile": "tls-client"}
TRUST = {"name": "vendors", "anchors": "vendors.pem"}


def configuration(**values: Any) -> CMPConfig:
    """A section with one label."""
    return CMPConfig.model_validate({"labels": [LABEL], "trust": [TRUST], "profiles": ["tls-client"], **values})


def test_a_label_has_what_the_section_says_unless_it_says_otherwise() -> None:
    own = {
        **LABEL,
        "id": "own",
        "rules": "strict",
        "mac": False,
        "certificate": False,
        "vendor_trust": "vendors",
        "implicit_confirm": False,
        "confirm_wait": "7s",
        "approval": True,
        "check_after": "8s",
        "approval_lifetime": "9d",
        "revoke_replaced": True,
        "key_generation": True,
    }
    section = configuration(labels=[LABEL, own], rules=[{"id": "strict"}], confirm_wait="2m")
    usual, other = (section.terms_of(label) for label in section.labels)
    assert usual == section.terms(CAReference("demo", "issuing"), "tls-client")
    assert usual.confirm_wait == timedelta(minutes=2)
    assert usual.rules == "default"
    for name in set(own) - {"id", "ca", "profile"}:
        assert getattr(usual, name) != getattr(other, name), name
    assert other.confirm_wait == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"default_label": "other"}, "other is not the id of a label"),
        ({"labels": [LABEL, LABEL]}, "devices stands there twice"),
        ({"labels": [{**LABEL, "ca": "issuing"}]}, "<organization>~<ca-id>"),
        ({"labels": [{**LABEL, "rules": "strict"}]}, "strict is not the id of rules"),
        ({"labels": [{**LABEL, "vendor_trust": "other"}]}, "other is not the name of a trust"),
        ({"vendor_trust": "other"}, "other is not the name of a trust"),
        ({"registration_authorities": [{"trust": "other"}]}, "other is not the name of a trust"),
        ({"registration_authorities": [{}]}, "trust, or profile"),
        ({"registration_authorities": [{"trust": "vendors", "profile": "ra"}]}, "trust, or profile"),
        ({"rules": [{"id": "a", "digest_algorithms": ["SHA-1"]}]}, "SHA-256"),
        ({"rules": [{"id": "a", "digest_algorithms": []}]}, "at least 1"),
        ({"rules": [{"id": "a", "min_iterations": 9, "max_iterations": 8}]}, "not more than max_iterations"),
        ({"rules": [{"id": "a", "min_rsa_bits": 511}]}, "512"),
        ({"rules": [{"id": "a", "min_ec_bits": 99}]}, "100"),
        ({"rules": [{"id": "a", "excluded_checks": ["signature"]}]}, "message-time"),
        ({"confirm_wait": "0s"}, "a second or more"),
        ({"max_requests": 0}, "greater than or equal to 1"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any], says: str) -> None:
    configuration()
    with pytest.raises(ValidationError, match=says):
        configuration(**values)


def test_defaults_are_those_of_the_guide() -> None:
    rule = configuration().rules_named("default")
    assert (rule.min_rsa_bits, rule.min_ec_bits) == (2048, 256)
    assert [digest.value for digest in rule.digest_algorithms] == ["SHA-256", "SHA-384"]
    assert [each.value for each in rule.signature_classes] == ["rsa", "ecdsa"]
    assert [curve.value for curve in rule.curves] == ["secp256r1", "secp384r1"]
    assert configuration().transaction_lifetime == timedelta(minutes=60)


@pytest.mark.requirement("R-CAGW-215")
def test_a_rule_excludes_the_checks_that_it_names() -> None:
    section = configuration(rules=[{"id": "lax", "excluded_checks": ["message-time"]}])
    assert section.rules_named("lax").excluded_checks == (ExcludedCheck.MESSAGE_TIME,)
    assert section.rules_named("default").excluded_checks == ()


def test_default_rules_may_be_others() -> None:
    section = configuration(rules=[{"id": "default", "min_rsa_bits": 3072}])
    assert section.rules_by_name()["default"].min_rsa_bits == 3072


def test_labels_lead_to_terms() -> None:
    labels = Labels(configuration(default_label="devices"), tenants=["demo"])
    assert labels.default() == labels.by_label("devices") == labels.by_parts("demo", "demo~issuing", "tls-client")
    for parts in (("other", "demo~issuing", "tls-client"), ("demo", "demo~issuing", "tls-server")):
        with pytest.raises(NotFound):
            labels.by_parts(*parts)
    with pytest.raises(Malformed):
        labels.by_parts("demo", "issuing", "tls-client")
    with pytest.raises(NotFound):
        labels.by_label("other")
    with pytest.raises(NotFound):
        Labels(configuration(), tenants=["demo"]).default()


def test_files_of_trust_anchors_are_inspected(tmp_path: Path) -> None:
    file = tmp_path / "vendors.pem"
    for pem, what in (
        (None, "cannot be read"),
        (b"nothing", "is no PEM file of certificates"),
        (make("device").pem, "CN=device is no CA certificate"),
    ):
        if pem is not None:
            file.write_bytes(pem)
        [problem] = configuration().inspect(tmp_path, NOW).problems
        assert what in problem.what
        assert problem.key == ("trust", 0, "anchors")
    file.write_bytes(make("root", is_ca=True).pem)
    assert configuration().inspect(tmp_path, NOW).problems == []
    assert not configuration().inspect(tmp_path, NOW).warnings
    [warning] = configuration().inspect(tmp_path, NOW + timedelta(days=900)).warnings
    assert "expired" in warning.what


def test_weak_rules_are_warned_of(tmp_path: Path) -> None:
    rules = [{"id": "default"}, {"id": "weak", "min_rsa_bits": 1024}]
    [warning] = configuration(trust=[], rules=rules).inspect(tmp_path, NOW).warnings
    assert warning.key == ("rules", 1, "min_rsa_bits")
