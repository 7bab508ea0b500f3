"""Loading a server process with ``wrk`` from another core, and what it used of the processors meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LUA = """
local file = io.open("{path}", "rb")
local requests, count, last = {{}}, 0, 0
while true do
  local length = file:read(4)
  if not length then break end
  local a, b, c, d = length:byte(1, 4)
  count = count + 1
  requests[count] = file:read(((a * 256 + b) * 256 + c) * 256 + d)
end
request = function()
  last = last % count + 1
  return requests[last]
end
"""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of one load."""

    rate: float
    """Answers a second."""
    cpu: float
    """Microseconds of processor time of the server for each answer, user and system."""
    octets: float
    """Of an answer with its head, on average."""


def pinned(core: int) -> list[str]:
    """Runs a command on that core, where there are two."""
    has_two_cores = (os.cpu_count() or 1) > 1 and shutil.which("taskset")
    return ["taskset", "-c", str(core)] if has_two_cores else []


def cpu_seconds(pid: int) -> float:
    """What the process has used of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """What wrk sends in turn: HTTP requests, each behind its length in four octets."""
    path.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))


def wrk(
    requests: Path,
    port: int,
    pid: int,
    *,
    seconds: float,
    connections: int,
    scheme: str = "http",
    may_close: bool = False,
) -> Loaded:
    """Send these requests from core 1, and the next on each connection when it has its answer, which must be a 200.

    ``may_close`` is for a server that closes connections after an answer: wrk calls that a socket error.
    """
    script = requests.with_suffix(".lua")
    script.write_text(LUA.format(path=requests))
    load = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    before = cpu_seconds(pid)
    done = subprocess.run(
        [*pinned(1), "wrk", *load, f"{scheme}://127.0.0.1:{port}"], check=True, capture_output=True, text=True
    ).stdout
    used = cpu_seconds(pid) - before
    assert "Non-2xx" not in done, done
    assert may_close or "Socket errors" not in done, done
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    total = re.search(r"(\d+) requests in [\d.]+m?s, ([\d.]+)([KMG]?)B read", done)
    assert rate is not None, done
    assert total is not None, done
    answers = int(total[1])
    return Loaded(float(rate[1]), used / answers * 1e6, float(total[2]) * _UNITS[total[3]] / answers)
