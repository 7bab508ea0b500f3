"""The demonstration's daemon on core 0, and what ``enroll()`` alone does there: for the benchmarks of enrollment."""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.load import pinned
from tests.support.processes import free_port

GOAL = 0.60

Measure = Callable[["EnrollingDaemon", Path, argparse.Namespace], None]


def benchmark(description: str | None, measure: Measure) -> None:
    """The command line of a benchmark, which measures a new daemon, with a folder for files."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        daemon = EnrollingDaemon(folder / "cspd")
        try:
            measure(daemon, folder, options)
        finally:
            daemon.stop()


class EnrollingDaemon:
    """``twistd cspd`` with the demonstration's CA, on P-256 and SQLite."""

    def __init__(self, folder: Path) -> None:
        self.port, self.https_port = free_port(), free_port()
        ports = ["--http-port", str(self.port), "--https-port", str(self.https_port)]
        init = [sys.executable, "-m", "cspd.admin.cspctl", "init", "--demo", str(folder), *ports]
        subprocess.run(init, check=True, capture_output=True)
        self.facts: Mapping[str, Any] = tomllib.loads((folder / "demo.toml").read_text())
        self.trust_anchor = folder / "pki" / "root.pem"
        conf = folder / "cspd.toml"
        text = conf.read_text().replace('format = "text"', 'format = "json"')
        conf.write_text(
            re.sub(r'^(profiles? = \[?)"tls-client"', r'\1"tls-server"', text, flags=re.M)
        )  # as enroll() has
        self._folder = folder
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "--nodaemon", "--pidfile=", "cspd", "--config", str(conf)]
        with (folder / "log").open("wb") as log:
            environment = {**os.environ, "PYTHONPATH": "."}
            self._process = subprocess.Popen([*pinned(0), *command], stdout=log, stderr=log, env=environment)
        self.pid = self._process.pid
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/").close()
            except urllib.error.HTTPError:
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def issued(self) -> int:
        """Certificates in its store."""
        [store] = self._folder.rglob("store.sqlite")
        with closing(sqlite3.connect(store)) as connection:
            return int(connection.execute("SELECT count(*) FROM certificates").fetchone()[0])

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def enroll_rate() -> float:
    """Certificates a second of ``bench.enroll``, in a process on core 0, as the daemon is."""
    return enroll_alone()[0]


def enroll_alone() -> tuple[float, float]:
    """The same, and microseconds of processor time for each."""
    command = [*pinned(0), sys.executable, "-m", "bench.enroll", "--alone"]
    environment = {"CERTIFICATES": "1500", **os.environ}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found = re.search(r"^enroll\(\): (\d+)/s, (\d+) us CPU", done, re.MULTILINE)
    assert found is not None, done
    return float(found[1]), float(found[2])


def post(path: str, media_type: str, body: bytes, *headers: str) -> bytes:
    """A request of HTTP."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def verdict(
    name: str, rates: list[float], cpu: float, shares: list[float], *, of: str = "enroll()", goal: float = GOAL
) -> str:
    """A line of the result."""
    rates, shares = sorted(rates), sorted(shares)
    rate, share = rates[len(rates) // 2], shares[len(shares) // 2]
    met = "met" if share >= goal else "MISSED"
    return f"{name:24} {rate:6.0f}/s {cpu:7.0f} us CPU {share:7.1%} of {of}; goal {goal:.0%} {met}"
