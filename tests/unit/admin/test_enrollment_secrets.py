"""``cspctl enrollment-secret``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cspd.admin.client import OperationFailed
from tests.support.administration import Administration


def test_a_secret_is_shown_once_listed_and_revoked(hierarchy: Administration) -> None:
    assert hierarchy.done("enrollment-secret", "list") == "no enrollment secrets\n"
    made = hierarchy.json("enrollment-secret", "create", "est", "device 7", "--ca", "demo~issuing", "--lifetime", "12h")
    assert len(made["secret"]) == 24
    assert made["one_time"] is True
    [row] = hierarchy.json("enrollment-secret", "list", "--protocol", "est")
    assert row == {name: value for name, value in made.items() if name != "secret"}
    assert hierarchy.json("enrollment-secret", "list", "--protocol", "cmp") == []
    assert made["secret"] not in hierarchy.done("enrollment-secret", "list")
    hierarchy.done("enrollment-secret", "revoke", made["reference"])
    [row] = hierarchy.json("enrollment-secret", "list")
    assert row["state"] == "revoked"


def test_a_secret_that_was_made_elsewhere_is_read_from_standard_input(hierarchy: Administration) -> None:
    create = ("--json", "enrollment-secret", "create", "cmp", "device 7", "--reusable")
    made = json.loads(hierarchy.done(*create, "--reference", "kid-4711", given="pass code 1\n"))
    assert made["reference"] == "kid-4711"
    assert "secret" not in made
    assert made["one_time"] is False
    again = hierarchy.run(*create, "--reference", "kid-4711", given="pass code 2\n")
    assert json.loads(again.stdout)["error"] == "secret-exists"
    for reference, secret in (("kid 1", "long enough"), ("k" * 65, "long enough"), ("kid-1", "short"), ("kid-1", "")):
        refused = hierarchy.run(*create, "--reference", reference, given=f"{secret}\n")
        assert refused.exit_code == 1
        assert "pass code" not in refused.output


def test_the_secret_of_standard_input_is_what_clients_prove(hierarchy: Administration) -> None:
    hierarchy.done("enrollment-secret", "create", "est", "device 7", "--reference", "kid-1", given="p\u00e4ss code\r\n")
    [call] = [arguments for operation, arguments in hierarchy.calls if operation == "enrollment-secret-create"]
    assert call["secret"] == "p\u00e4ss code"


def test_reference_and_secret_are_given_together(hierarchy: Administration) -> None:
    for only in ({"reference": "kid-1"}, {"secret": "long enough"}):
        with pytest.raises(OperationFailed, match="given together"):
            hierarchy.call(Path(), "enrollment-secret-create", {"purpose": "est", "identity": "device", **only})
