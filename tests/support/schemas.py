"""Comparing a database's schema with the tables that the code declares."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import protocols
from cspd.store.database import choose_backend
from cspd.store.tables import metadata


def differences(url: str) -> list[Any]:
    """What Alembic would change to make the database the declared one, with every table that code declares."""
    importlib.import_module("cspd.digital_ids.tables")
    folder = Path(protocols.__path__[0])
    for file in sorted(folder.rglob("*tables.py")):
        importlib.import_module(".".join(("protocols", *file.relative_to(folder).with_suffix("").parts)))
    with choose_backend(url).writer_engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))
