"""The 27 settings of the guide (``tsa.md`` 2): where they are, what they take, and what they are by default."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.http.config import Limits
from cspd.keys.config import TokenConfig
from protocols.tsp.config import TSPConfig
from protocols.tsp.messages import HashAlgorithm

LEAST_CLOCK = {"poll_interval": "10s", "max_error": "500ms"}
LEAST_ISSUER = {"id": "a", "certificate": "tsa.pem", "ca_chain": ["ca.pem"], "profile": {"policy": "1.2.3"}}
ISSUER: dict[str, Any] = {
    "id": "Qualified~1",
    "certificate": "tsa.pem",
    "ca_chain": ["issuing.pem", "root.pem"],
    "log_response": True,
    "profile": {
        "policy": "1.3.6.1.4.1.32473.1",
        "accuracy": "PT1.5S",
        "allowed_hashes": ["sha1", "sha224", "sha256", "sha384", "sha512"],
        "ordering": True,
        "qualified": True,
        "serial_bytes": 20,
        "signature_digest": "sha512",
    },
}
CLOCK = {"connect_timeout": "2s", "poll_interval": "5s", "max_error": "100ms"}
SERVER = {
    "tcp_keep_alive": "1 min",
    "listen_limit": 7,
    "graceful_timeout": "20s",
    "max_body_bytes": 4096,
    "max_header_bytes": 2048,
    "idle_timeout": "5s",
    "write_timeout": "30s",
    "read_timeout": "30s",
}
HSM = {"vendor": "thales", "module": "/usr/lib/m.so", "token_label": "tsa", "pin": {"store": "pin"}, "sessions": 3}


@pytest.mark.requirement("R-TSA-060")
def test_all_settings_are_taken_as_they_are_given() -> None:
    config = TSPConfig.model_validate({"clock": CLOCK, "issuers": [ISSUER]})
    [issuer] = config.issuers
    assert (issuer.id, issuer.certificate, issuer.log_response) == ("Qualified~1", "tsa.pem", True)
    assert issuer.ca_chain == ("issuing.pem", "root.pem")
    assert issuer.profile.policy == "1.3.6.1.4.1.32473.1"
    assert issuer.profile.accuracy == timedelta(seconds=1.5)
    assert [each.value for each in issuer.profile.allowed_hashes] == ISSUER["profile"]["allowed_hashes"]
    assert (issuer.profile.ordering, issuer.profile.qualified, issuer.profile.serial_bytes) == (True, True, 20)
    assert issuer.profile.signature_digest is HashAlgorithm.SHA512
    assert config.clock.connect_timeout == timedelta(seconds=2)
    assert config.clock.poll_interval == timedelta(seconds=5)
    assert config.clock.max_error == timedelta(milliseconds=100)
    limits = Limits.model_validate(SERVER)
    assert all(getattr(limits, name) != getattr(Limits(), name) for name in SERVER)
    token = TokenConfig.model_validate(HSM)
    assert (token.vendor.value, token.token_label, token.sessions) == ("thales", "tsa", 3)
    module = 1  # which the guide's product brings along
    assert len([*ISSUER, *ISSUER["profile"], *CLOCK, *SERVER, *HSM]) - module == 27


@pytest.mark.requirement("R-TSA-060")
def test_what_is_not_said_has_the_default_of_the_guide() -> None:
    [issuer] = TSPConfig.model_validate({"clock": LEAST_CLOCK, "issuers": [LEAST_ISSUER]}).issuers
    profile = issuer.profile
    assert issuer.log_response is False
    assert profile.accuracy is None
    assert [each.value for each in profile.allowed_hashes] == ["sha224", "sha256", "sha384", "sha512"]
    assert (profile.ordering, profile.qualified, profile.serial_bytes) == (False, False, 8)
    assert profile.signature_digest is HashAlgorithm.SHA256


@pytest.mark.requirement("R-TSA-060")
@pytest.mark.parametrize(
    "settings",
    [
        {"clock": LEAST_CLOCK, "issuers": [LEAST_ISSUER], "unknown": 1},
        {"clock": {**LEAST_CLOCK, "unknown": 1}, "issuers": [LEAST_ISSUER]},
        {"clock": LEAST_CLOCK, "issuers": [{**LEAST_ISSUER, "unknown": 1}]},
        {"clock": LEAST_CLOCK, "issuers": [{**LEAST_ISSUER, "profile": {"policy": "1.2.3", "unknown": 1}}]},
    ],
    ids=["protocol", "clock", "issuer", "profile"],
)
def test_unknown_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"unknown\n *Extra inputs"):
        TSPConfig.model_validate(settings)


@pytest.mark.parametrize("policy", ["", "1", "3.1.2", "1.40.1", "1.2.", "1.2.03", "1.2.x", "urn:oid:1.2.3"])
def test_policy_is_an_object_identifier(policy: str) -> None:
    with pytest.raises(ValidationError, match="an object identifier"):
        TSPConfig.model_validate({"clock": LEAST_CLOCK, "issuers": [{**LEAST_ISSUER, "profile": {"policy": policy}}]})


@pytest.mark.parametrize("issuer_id", ["", "a b", "a/b", "ä", "x" * 65, "%41"])
def test_issuer_id_is_a_part_of_a_path_as_it_is(issuer_id: str) -> None:
    with pytest.raises(ValidationError, match=r"issuers\.0\.id"):
        TSPConfig.model_validate({"clock": LEAST_CLOCK, "issuers": [{**LEAST_ISSUER, "id": issuer_id}]})
