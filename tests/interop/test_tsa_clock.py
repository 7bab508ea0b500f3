"""Timestamps under a real chronyd: none while it finds the clock wrong or is not there; they go on by themselves."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chrony import Chrony
from tests.support.daemon import Daemon
from tests.support.metrics import samples
from tests.support.processes import wait_until
from tests.support.timestamping import TimestampClient

pytestmark = pytest.mark.interop

NO_TIME = ("Rejected.", "the TSA's time source is not available")


@pytest.fixture
def chrony(tmp_path: Path) -> Iterator[Chrony]:
    with Chrony(tmp_path) as chrony:
        yield chrony


@pytest.fixture
def daemon(tmp_path: Path, chrony: Chrony) -> Iterator[Daemon]:
    clock = {"source": "chrony", "address": chrony.address, "poll_interval": "500ms", "max_error": "500ms"}
    with Daemon(tmp_path, changes={"protocols.tsp.clock": clock, "log.format": "json"}) as daemon:
        yield daemon


@pytest.fixture
def client(tmp_path: Path, daemon: Daemon) -> TimestampClient:
    client = TimestampClient(tmp_path, daemon)
    client.make_query()
    return client


def is_granted(client: TimestampClient) -> bool:
    """Ask; a rejection has to be for want of the time."""
    assert client.post("demo") == 200
    if client.reply.read_bytes()[4:9] == b"\x30\x03\x02\x01\x00":
        client.verify()
        return True
    assert client.rejection() == NO_TIME
    return False


def clock_health(daemon: Daemon) -> str:
    """The state of the part ``tsp-clock`` on the health page."""
    try:
        with urllib.request.urlopen(f"{daemon.http_url}/health", timeout=30) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    [state] = [each["state"] for each in json.loads(body)["parts"] if each["part"] == "tsp-clock"]
    return str(state)


def clock_metric(daemon: Daemon, name: str) -> float:
    """A metric of the clock."""
    with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=30) as answer:
        return samples(answer.read())[(name, ("chrony",))]


def wait_for_tokens(client: TimestampClient, *, until: bool) -> None:
    wait_until(lambda: is_granted(client) is until, what="tokens" if until else "the end of tokens", seconds=60)


def lines(daemon: Daemon, msg: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, daemon.output().splitlines()) if str(line.get("msg", "")).startswith(msg)]


@pytest.mark.requirement("R-TSA-051", "R-TSA-052", "R-TSA-053")
def test_drift_beyond_the_limit_stops_tokens_until_it_is_gone(chrony: Chrony, client: TimestampClient) -> None:
    wait_for_tokens(client, until=True)
    chrony.set_offset(0.3)
    assert is_granted(client), "0.3 s are allowed"
    chrony.set_offset(0.9)
    wait_for_tokens(client, until=False)
    failed = lines(client.daemon, "ProcessTimeStampRequest.Failed")[-1]
    assert (failed["level"], failed["endpoint"]) == ("info", "demo")
    assert failed["tsa-log"]["tsa-pkistatus-string"] == "TimeNotAvailableTSError"
    assert failed["cause"]["cause"]["cause"]["msg"] == "BadClock"
    assert clock_health(client.daemon) == "failed"
    assert clock_metric(client.daemon, "cspd_clock_trusted") == 0.0
    chrony.set_offset(0.0)
    wait_for_tokens(client, until=True)
    wait_until(lambda: clock_health(client.daemon) == "ok", what="a clock that is well")
    assert clock_metric(client.daemon, "cspd_clock_trusted") == 1.0


@pytest.mark.requirement("R-TSA-053", "R-TSA-054")
def test_without_chrony_there_are_no_tokens(chrony: Chrony, client: TimestampClient) -> None:
    wait_for_tokens(client, until=True)
    chrony.stop()
    wait_for_tokens(client, until=False)
    chrony.start()
    wait_for_tokens(client, until=True)


@pytest.mark.requirement("R-TSA-050", "R-TSA-056")
def test_each_poll_is_logged_for_the_guide_s_filter(client: TimestampClient) -> None:
    wait_until(lambda: len(lines(client.daemon, "GetClockData.")) >= 3, what="three polls")
    polls = lines(client.daemon, "GetClockData.")
    assert {(line["namespace"], line["app"]) for line in polls} == {("tsa", "clockstatus")}
    assert '"GetClockData.' in client.daemon.output()
