"""The schema's steps lead to what the code works with."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from cspd.refusals import Conflict, Unavailable
from cspd.store import schema
from tests.support.schemas import differences


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.sqlite"


@pytest.fixture
def log() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def set_revision(tmp_path: Path, revision: str) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_the_steps_lead_to_the_declared_tables(url: str) -> None:
    schema.upgrade(url)
    assert differences(url) == []


def test_a_missing_column_would_show(url: str, tmp_path: Path) -> None:
    schema.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN last_outcome")
    assert len(differences(url)) == 1


def test_an_empty_database_has_no_revision_and_an_upgraded_one_the_newest(url: str) -> None:
    assert schema.current(url) is None
    schema.upgrade(url)
    assert schema.current(url) == schema.newest()


@pytest.mark.requirement("R-CEG-159")
@pytest.mark.requirement("R-PLAT-078")
def test_a_start_with_the_schema_in_place_says_nothing(
    url: str, log: list[LogEvent], caplog: pytest.LogCaptureFixture
) -> None:
    schema.upgrade(url)
    assert [event["log_level"].name for event in log] == ["info"]
    log.clear()
    caplog.clear()
    schema.upgrade(url)
    assert log == []
    assert caplog.records == []


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    schema.upgrade(url)
    set_revision(tmp_path, "9999")
    with pytest.raises(Conflict, match="schema revision 9999, which this version of cspd does not know"):
        schema.upgrade(url)
    assert schema.current(url) == "9999"


def test_the_file_is_for_its_owner_only(url: str, tmp_path: Path) -> None:
    schema.upgrade(url)
    assert stat.S_IMODE((tmp_path / "store.sqlite").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_unavailable(url: str, tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(Unavailable) as refused:
        schema.upgrade(url)
    assert "not a database" in refused.value.detail


def test_a_step_that_fails_leaves_the_old_schema(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", steps(tmp_path, "raise RuntimeError('power cut')"))
    with pytest.raises(RuntimeError, match="power cut"):
        schema.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_an_older_database_is_copied_before_it_is_changed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(url)
    old = schema.newest()
    monkeypatch.setattr(schema, "_MIGRATIONS", steps(tmp_path, "op.drop_table('shared_secrets')"))
    schema.upgrade(url)
    assert schema.current(url) == "next"
    copy = tmp_path / f"store.sqlite.before-{old}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert schema.current(f"sqlite:///{copy}") == old
    assert not list(tmp_path.glob("*.part"))


def steps(tmp_path: Path, statement: str) -> Path:
    """The real steps and one more."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for file in (*schema._MIGRATIONS.glob("*.py"), *schema._MIGRATIONS.glob("versions/*.py")):
        (folder / file.relative_to(schema._MIGRATIONS)).write_text(file.read_text())
    (folder / "versions" / "next.py").write_text(
        f"from alembic import op\nrevision = 'next'\ndown_revision = {schema.newest()!r}\n"
        f"def upgrade():\n    {statement}\n"
    )
    return folder
