"""``cspctl cmp``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cspd.admin.operations.values import Caller, Operations
from protocols.cmp.config import CMPConfig
from protocols.cmp.trust import BadTrust
from protocols.cmp.trust_operations import TrustOperations
from tests.support.administration import Administration
from tests.support.audit import RecordingAuditLog
from tests.support.running import result_of
from tests.unit.http.certificates import make

CALLER = Caller("root")
LABEL = {"id": "devices", "ca": "demo~issuing", "profile": "tls-client", "vendor_trust": "vendors"}
SECTION = {
    "labels": [LABEL],
    "trust": [{"name": "vendors", "anchors": "vendors.pem"}, {"name": "ras", "anchors": "vendors.pem"}],
    "registration_authorities": [
        {"trust": "ras"},
        {"trust": "vendors", "cas": ["demo~issuing"]},
        {"profile": "tls-server"},
    ],
}


@pytest.fixture
def administration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Administration:
    """``cspctl``, and the operations of the daemon behind it."""
    administration = Administration(tmp_path)
    anchor = make("Vendor", is_ca=True, now=datetime(2026, 11, 25, tzinfo=UTC))
    (tmp_path / "vendors.pem").write_bytes(anchor.pem)
    trust = TrustOperations(CMPConfig.model_validate(SECTION), tmp_path)
    operations = Operations(trust.operations(), RecordingAuditLog())

    def call(socket: Path, operation: str, arguments: Mapping[str, Any]) -> Any:
        if operation.startswith("cmp-"):
            return result_of(operations.run(operation, arguments, CALLER))
        return administration.call(socket, operation, arguments)

    monkeypatch.setattr("cspd.admin.invocation.call", call)
    monkeypatch.setattr("cspd.admin.invocation.Invocation._state_and_socket", lambda self: (tmp_path, tmp_path))
    return administration


def test_a_secret_is_one_of_cmp(administration: Administration) -> None:
    made = administration.json("cmp", "secret", "create", "router 7", "--lifetime", "1h", "--profile", "tls-client")
    assert (made["purpose"], made["identity"], made["one_time"]) == ("cmp", "router 7", True)
    assert len(made["secret"]) == 24
    administration.done("enrollment-secret", "create", "est", "router 8")
    [row] = administration.json("cmp", "secret", "list")
    assert row["reference"] == made["reference"]
    assert made["secret"] not in administration.done("cmp", "secret", "list")
    administration.done("cmp", "secret", "revoke", made["reference"])
    assert administration.json("cmp", "secret", "list")[0]["state"] == "revoked"


@pytest.mark.requirement("R-CAGW-213")
def test_kid_and_passcode_are_taken_over(administration: Administration) -> None:
    arguments = ("--json", "cmp", "secret", "create", "router 7", "--reusable", "--reference", "kid-1")
    made = json.loads(administration.done(*arguments, given="passcode-1\n"))
    assert (made["reference"], made["purpose"]) == ("kid-1", "cmp")
    found = result_of(administration.core.enrollment_secrets.find("cmp", "kid-1"))
    assert found.secret == b"passcode-1"


def test_trust_is_listed_and_shown(administration: Administration) -> None:
    assert administration.json("cmp", "trust", "list") == [
        {
            "name": "vendors",
            "file": "vendors.pem",
            "anchors": 1,
            "vendor_trust_of": ["devices"],
            "registration_authorities_of": ["demo~issuing"],
        },
        {
            "name": "ras",
            "file": "vendors.pem",
            "anchors": 1,
            "vendor_trust_of": [],
            "registration_authorities_of": ["*"],
        },
    ]
    [row] = administration.json("cmp", "trust", "show", "ras")
    assert row["subject"] == "CN=Vendor"
    assert row["not_after"].startswith("2026-12-25")
    assert "CN=Vendor" in administration.done("cmp", "trust", "show", "ras")
    assert administration.refused("cmp", "trust", "show", "other") == "no-such-trust: there is no trust 'other'"


def test_files_that_are_gone_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadTrust, match="cannot be read"):
        TrustOperations(CMPConfig.model_validate(SECTION), tmp_path)
