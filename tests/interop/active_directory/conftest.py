"""The domain that the tests of this folder share: it takes ten seconds to make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.samba_ad import SambaAD


@pytest.fixture(scope="session")
def samba() -> Iterator[SambaAD]:
    with SambaAD() as running:
        yield running
