from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.administration import Administration


@pytest.fixture
def administration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Administration:
    """``cspctl`` and the operations behind it, on an installation in memory."""
    administration = Administration(tmp_path)
    monkeypatch.setattr("cspd.admin.invocation.call", administration.call)
    return administration


@pytest.fixture
def hierarchy(administration: Administration) -> Administration:
    """The same with the CAs ``demo~root`` and ``demo~issuing``."""
    administration.make_hierarchy()
    return administration
