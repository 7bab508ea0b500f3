"""The migration makes exactly the tables that the code uses."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from cspd.store import schema
from cspd.store.tables import metadata
from protocols.acme import tables


def test_the_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    schema.upgrade(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [each for each in compare_metadata(context, metadata) if "acme_" in str(each)]
    engine.dispose()
    assert differences == []
    assert {name for name in metadata.tables if name.startswith("acme_")} == set(tables.__all__)
