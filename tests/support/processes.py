"""Real processes for interop tests: free ports, waiting for readiness, ended by the process they were started as."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest


def program(name: str) -> str:
    """The path of a client or server; a missing one fails the test (it is installed by `make test`)."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.fail(f"{name} is not installed; .ci/install-counterparts installs it")
    return path


_handed_out: set[int] = set()


def free_port() -> int:
    """A TCP and UDP port of loopback that nobody uses now, and that no other call gave: its user may not be up yet."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            if port in _handed_out:
                continue
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            _handed_out.add(port)
            return port
    raise RuntimeError("no free port")


def wait_until(is_ready: Callable[[], bool], *, what: str, seconds: float = 30) -> None:
    """Poll a readiness predicate; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        assert time.monotonic() < deadline, f"{what} is not ready after {seconds} s"
        time.sleep(0.05)


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on the port of loopback."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child process with its output in a file; ended with all that it started."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id (and process group)."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """False once it ended."""
        return self._child.poll() is None

    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self._child.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Its exit status; subprocess.TimeoutExpired when it goes on."""
        return self._child.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._child.kill()
        self._child.wait(10)

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM, and SIGKILL to its group when that does not help."""
        if self.is_running:
            self._child.terminate()
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait(5)


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    expect: int | None = 0,
    seconds: float = 120,
    cwd: Path | None = None,
    given: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a client to its end; AssertionError with its whole output when its exit status is not ``expect``."""
    done = subprocess.run(
        [str(part) for part in command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        input=given if given is not None else "",
        env={**os.environ, **(environment or {})},
        timeout=seconds,
        cwd=cwd,
        check=False,
    )
    if expect is not None:
        words = " ".join(str(part) for part in command)
        assert done.returncode == expect, f"{words}\nended with {done.returncode}:\n{done.stdout}"
    return done
