"""Asks a real chronyd and keeps its replies: ``PYTHONPATH=. python tests/fuzz/corpus/chrony/make.py``."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.chrony.codec import N_SOURCES, TRACKING, Question, encode_request, source_data
from tests.support.chrony import Chrony
from tests.support.processes import wait_until

HERE = Path(__file__).parent
SEQUENCE = 0x01020304


def keep(name: str, chrony: Chrony, question: Question[Any], *, version: int = 6) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        request = bytes([version]) + encode_request(question, SEQUENCE)[1:]
        client.sendto(request, ("127.0.0.1", chrony.port))
        (HERE / f"{name}.reply").write_bytes(client.recv(2048))


def main(folders: Sequence[Path]) -> None:
    with Chrony(folders[0]) as chrony:
        keep("tracking-synchronised", chrony, TRACKING)
        keep("n-sources", chrony, N_SOURCES)
        keep("source-selected", chrony, source_data(0))
        keep("bad-source-that-is-none", chrony, source_data(9))
        keep("bad-version-5", chrony, TRACKING, version=5)
        chrony.set_offset(0.8)
        keep("tracking-ahead", chrony, TRACKING)
        chrony.lose_server()
        keep("tracking-server-lost", chrony, TRACKING)
        keep("source-lost", chrony, source_data(0))
    with Chrony(folders[1], moment=datetime(2026, 12, 31, 12, tzinfo=UTC)) as chrony:
        chrony.announce_leap(1, "Insert second")
        keep("tracking-insert-second", chrony, TRACKING)
        chrony.announce_leap(2, "Delete second")
        keep("tracking-delete-second", chrony, TRACKING)
    local = Chrony(folders[2], more="local stratum 8")
    local.server.silent = True
    try:
        local.launch()
        wait_until(lambda: bool(local.ask("tracking")) and local.ask("tracking")[0][0] == "7F7F0101", what="local")
        keep("tracking-local", local, TRACKING)
    finally:
        local.close()
    alone = Chrony(folders[3])
    alone.server.silent = True
    try:
        alone.launch()
        wait_until(lambda: bool(alone.ask("tracking")), what="chronyd")
        keep("tracking-not-synchronised", alone, TRACKING)
        keep("source-unheard", alone, source_data(0))
    finally:
        alone.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as top:
        folders = [Path(top) / str(number) for number in range(4)]
        for folder in folders:
            folder.mkdir()
        main(folders)
