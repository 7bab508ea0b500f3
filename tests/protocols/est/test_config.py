"""The section."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.est.config import ESTConfig
from protocols.est.labels import Labels
from tests.protocols.est.world import LABEL, configuration


def test_a_label_has_what_the_section_says_unless_it_says_otherwise() -> None:
    own = {**LABEL, "id": "slow", "approval": True, "authentication": ["certificate"]}
    section = configuration(labels=[LABEL, own], approval_retry="5m", revoke_replaced=True)
    labels = Labels(section, tenants=["demo"])
    usual, slow = labels.by_label("devices"), labels.by_label("slow")
    assert (usual.approval, usual.basic, usual.certificate, usual.revoke_replaced) == (False, True, True, True)
    assert (slow.approval, slow.basic, slow.certificate, slow.revoke_replaced) == (True, False, True, True)
    assert usual.retry_after == slow.retry_after == timedelta(minutes=5)
    assert str(usual.ca) == "demo~issuing"


@pytest.mark.parametrize(
    "values",
    [
        {"users": []},
        {"default_label": "other"},
        {"labels": [LABEL, LABEL]},
        {"labels": [{**LABEL, "id": "a_b"}], "default_label": None},
        {"labels": [{**LABEL, "id": "cacerts"}], "default_label": None},
        {"labels": [{**LABEL, "ca": "issuing"}]},
        {"authentication": []},
        {"authentication": ["digest"]},
        {"authentication": ["basic"], "trust": ["makers.pem"]},
        {"labels": [{**LABEL, "authentication": ["secret"], "trust": ["makers.pem"]}]},
        {"trust": ["makers.pem"], "labels": [{**LABEL, "authentication": ["secret"]}]},
        {"users": [], "labels": [{**LABEL, "authentication": ["secret"]}]},
        {"channel_binding": "always"},
        {"approval_retry": "0s"},
        {"realm": 'a"b'},
        {"unknown": 1},
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any]) -> None:
    configuration()
    with pytest.raises(ValidationError):
        configuration(**values)


def test_certificates_alone_need_no_users() -> None:
    for methods in (["certificate"], ["secret"], ["challenge"], ["secret", "challenge", "certificate"]):
        assert ESTConfig.model_validate({"authentication": methods}).users == ()
