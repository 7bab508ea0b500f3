"""``cspctl enrollment-secret``."""

from __future__ import annotations

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
