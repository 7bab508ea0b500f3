from __future__ import annotations

import os
from pathlib import Path

import pytest

from cspd.daemon.lock import StateInUse, StateLock


@pytest.mark.requirement("R-PLAT-008")
def test_second_daemon_on_the_same_folder_is_refused_by_name(tmp_path: Path) -> None:
    first, second = StateLock(tmp_path), StateLock(tmp_path)
    first.acquire()
    with pytest.raises(StateInUse) as refused:
        second.acquire()
    assert str(refused.value) == f"another cspd, process {os.getpid()}, works on {tmp_path}"
    first.release()
    second.acquire()
    second.release()


def test_file_that_a_dead_daemon_left_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("999999999999\n")
    lock = StateLock(tmp_path)
    lock.acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()
