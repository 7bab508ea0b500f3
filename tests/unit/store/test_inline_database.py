"""The database of the unit tests keeps the contract of the real ones."""

from __future__ import annotations

import pytest

from tests.support.database_contract import DatabaseContract, Run
from tests.support.databases import InlineDatabase
from tests.support.running import result_of


class TestInlineDatabase(DatabaseContract):
    @pytest.fixture
    def database(self) -> InlineDatabase:
        return InlineDatabase()

    @pytest.fixture
    def run(self) -> Run:
        return result_of
