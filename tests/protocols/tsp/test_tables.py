"""The migration makes exactly the tables that the timestamping authority uses."""

from __future__ import annotations

from pathlib import Path

from cspd.store import schema
from cspd.store.tables import metadata
from protocols.tsp import tables
from tests.support.schemas import differences


def test_the_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    schema.upgrade(url)
    assert [each for each in differences(url) if "tsp_" in str(each)] == []
    assert {name for name in metadata.tables if name.startswith("tsp_")} == set(tables.__all__)
