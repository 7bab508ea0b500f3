"""``cspctl audit``, and that every command is audited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from cspd.store.tables import audit_events
from tests.support.administration import Administration


def test_sound_chain(hierarchy: Administration) -> None:
    assert hierarchy.done("audit", "verify").endswith(" events in 1 chains: sound\n")
    report = hierarchy.json("audit", "verify", "--chain", "node")
    assert (report["sound"], report["breaks"]) == (True, [])
    assert report["heads"]["node"]["sequence"] == report["events"]


def test_changed_event_is_named_and_the_command_fails(hierarchy: Administration) -> None:
    with hierarchy.installation.database.engine.begin() as connection:
        connection.execute(update(audit_events).where(audit_events.c.sequence == 2).values(actor="nobody"))
    result = hierarchy.run("audit", "verify")
    assert result.exit_code == 1
    assert result.stderr == "node 2: changed: does not have the hash it carries\n"
    assert result.stdout.endswith(" events in 1 chains: BROKEN\n")
    report = hierarchy.run("--json", "audit", "verify")
    assert report.exit_code == 1
    assert [(each["sequence"], each["kind"]) for each in json.loads(report.stdout)["breaks"]] == [(2, "changed")]


@pytest.mark.parametrize("kept", ["whole answer", "heads only"])
def test_truncation_shows_by_the_heads_that_were_kept(hierarchy: Administration, tmp_path: Path, kept: str) -> None:
    report = hierarchy.json("audit", "verify")
    file = tmp_path / "heads.json"
    file.write_text(json.dumps(report if kept == "whole answer" else report["heads"]))
    assert hierarchy.run("audit", "verify", "--heads", str(file)).exit_code == 0
    last = report["heads"]["node"]["sequence"]
    with hierarchy.installation.database.engine.begin() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence == last))
    assert hierarchy.run("audit", "verify").exit_code == 0, "a chain cannot know its own end"
    result = hierarchy.run("audit", "verify", "--heads", str(file))
    assert result.exit_code == 1
    assert result.stderr == (f"node {last}: missing: was published as the head; the chain now ends at {last - 1}\n")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"], ids=["empty", "no object", "no text"])
def test_other_files_are_no_heads(administration: Administration, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "heads.json"
    file.write_bytes(content)
    result = administration.run("audit", "verify", "--heads", str(file))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f"Error: Invalid value for --heads: {file} is not the answer of `audit verify --json`"
    )


def test_wrong_heads_are_refused(administration: Administration, tmp_path: Path) -> None:
    file = tmp_path / "heads.json"
    file.write_text('{"node": 3}')
    assert administration.refused("audit", "verify", "--heads", str(file)).startswith("malformed: known_heads.node: ")


def test_tail_reads_like_a_log(administration: Administration) -> None:
    administration.done("org", "create", "demo")
    administration.refused("org", "create", "demo")
    lines = administration.done("audit", "tail", "-n", "4").splitlines()
    assert lines == [
        "2026-11-24T12:00:00Z organization-created by cspctl:root",
        "    organization=demo",
        "2026-11-24T12:00:00Z command-run by cspctl:root",
        "    operation=organization-create request_id=r-1",
        "2026-11-24T12:00:00Z command-run REFUSED by cspctl:root",
        "    operation=organization-create reason=organization demo exists request_id=r-1",
        "2026-11-24T12:00:00Z command-run REFUSED by cspctl:root",
        "    operation=organization-create reason=organization demo exists request_id=r-1",
    ]
    events = administration.json("audit", "tail", "-n", "1")
    assert [(each["chain"], each["sequence"], each["outcome"]) for each in events] == [("node", 4, "refused")]


def test_empty_log_says_so(administration: Administration) -> None:
    assert administration.done("audit", "tail") == "no events\n"
    assert administration.done("audit", "verify") == "0 events in 0 chains: sound\n"


def test_what_clients_chose_cannot_command_the_terminal(administration: Administration) -> None:
    result = administration.run("org", "join", "\x1b[31mred")
    assert result.stderr == "cspctl: no organization \\x1b[31mred\n"
    assert "reason=no organization \\x1b[31mred" in administration.done("audit", "tail")
