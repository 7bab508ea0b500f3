"""Ordered timestamps under load, over nodes, and over a process that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until
from tests.support.timestamp_load import Load, out_of_order
from tests.support.timestamping import issuer_entry

pytestmark = pytest.mark.interop

CHANGES = {
    "protocols.tsp.issuers": [issuer_entry("ordered", ordering=True), issuer_entry("plain")],
    "protocols.tsp.log_requests": "failed",
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    server = PostgreSQLServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def assert_ordered(load: Load) -> None:
    assert load.refused == []
    assert len({stamp.gen_time for stamp in load.stamps}) == len(load.stamps)
    assert out_of_order(load.stamps) == []


@pytest.mark.requirement("R-TSA-027")
def test_10_000_ordered_tokens_of_two_nodes(tmp_path: Path, server: PostgreSQLServer) -> None:
    server.execute("CREATE DATABASE ordered")
    with Daemon(tmp_path, store_url=server.url("ordered"), changes=CHANGES) as first:
        second = first.another_node()
        with second:
            second.start()
            load = Load((first.http_port, second.http_port), "ordered", wanted=10_000)
            load.run()
    assert len(load.stamps) == 10_000
    assert_ordered(load)
    assert len({stamp.serial_number for stamp in load.stamps}) == 10_000


@pytest.mark.requirement("R-TSA-027")
def test_10_000_ordered_tokens_of_one_node(tmp_path: Path) -> None:
    with Daemon(tmp_path, changes=CHANGES) as daemon:
        load = Load((daemon.http_port,), "ordered", wanted=10_000)
        load.run()
    assert len(load.stamps) == 10_000
    assert_ordered(load)


@pytest.mark.requirement("R-TSA-028")
def test_no_serial_number_comes_twice_over_kill_and_restart_and_times_go_on(tmp_path: Path) -> None:
    """The killed process takes what it had reserved with it; nobody gets any of it again."""
    stamps = []
    with Daemon(tmp_path, changes=CHANGES) as daemon:
        for _ in range(3):
            load = Load((daemon.http_port,), "ordered", wanted=1_000_000, clients=16)
            load.start()
            wait_until(lambda got=load: len(got.stamps) >= 500, what="500 tokens", seconds=120)
            daemon.kill()
            load.join()
            stamps += load.stamps
            assert_ordered(load)
            daemon.start()
        last = Load((daemon.http_port,), "ordered", wanted=500)
        last.run()
        stamps += last.stamps
    assert len(stamps) >= 2000
    assert len({stamp.serial_number for stamp in stamps}) == len(stamps)
    assert len({stamp.gen_time for stamp in stamps}) == len(stamps)
    assert out_of_order(stamps) == []
