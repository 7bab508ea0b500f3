"""The messages of the corpus, and those messages damaged, through every codec."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.any_bytes import TARGETS
from tests.fuzz.mutation import damaged
from tests.fuzz.seeds import seeds


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_has_no_finding(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
def test_any_bytes_have_no_finding(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(st.binary(max_size=300) | damaged(seeds(name))))
