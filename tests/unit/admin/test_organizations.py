"""``cspctl org``."""

from __future__ import annotations

import pytest

from tests.support.administration import Administration


def test_who_creates_an_organization_administers_it(administration: Administration) -> None:
    assert administration.json("org", "create", "demo") == {
        "name": "demo",
        "administrators": ["root"],
        "created_at": "2026-11-24T12:00:00Z",
    }
    assert administration.json("org", "list") == [
        {"name": "demo", "administrators": ["root"], "created_at": "2026-11-24T12:00:00Z"}
    ]


def test_a_list_without_organizations_says_so(administration: Administration) -> None:
    assert administration.done("org", "list") == "no organizations\n"


def test_others_are_made_administrators_and_one_leaves_when_he_has_confirmed(administration: Administration) -> None:
    administration.done("org", "create", "demo")
    added = administration.json("org", "add-administrator", "demo", "nobody", "daemon")
    assert added["administrators"] == ["root", "nobody", "daemon"]
    kept = administration.run("org", "leave", "demo", given="n\n")
    assert (kept.exit_code, kept.stderr.splitlines()[-1]) == (1, "cspctl: nothing was done; --yes answers for a script")
    assert administration.done("org", "leave", "demo", given="y\n") == "You administer demo no longer.\n"
    assert administration.json("org", "join", "demo")["administrators"] == ["nobody", "daemon", "root"]
    assert administration.json("org", "leave", "demo", "--yes") == {"name": "demo"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("create", "ab"), "bad-name: an organization's name has 3 to 14 of the characters a-z, 0-9, _ and -"),
        (("create", "crl"), "bad-name: crl is reserved"),
        (("create", "demo"), "conflict: organization demo exists"),
        (("join", "other"), "not-found: no organization other"),
        (("leave", "demo", "--yes"), "conflict: the last administrator cannot leave demo while it has CAs"),
        (("add-administrator", "demo", "no-such-user"), "bad-name: no tenant named no-such-user"),
    ],
    ids=["short name", "reserved name", "taken", "join unknown", "last leaves", "unknown user"],
)
def test_refusals(hierarchy: Administration, arguments: tuple[str, ...], reason: str) -> None:
    assert hierarchy.refused("org", *arguments) == reason
