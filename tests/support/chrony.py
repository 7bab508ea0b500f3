"""A real chronyd that follows an NTP server under the test's control, and never touches the machine's clock.

    with Chrony(tmp_path) as chrony:                # synchronised when this returns
        daemon.change({"protocols.tsp.clock.address": chrony.address})
        chrony.set_offset(0.8)                      # from now on it says: the system clock is 0.8 s ahead
        chrony.lose_server()                        # in about two seconds it follows nobody
        chrony.find_server()

``chronyd -x`` only reckons: what it would correct stays in its answers, and the system clock stays as it is.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from cspd.clock import SystemClock
from tests.support.ntp_server import NTPServer
from tests.support.processes import Process, free_port, program, run, wait_until

MAX_DISPERSION = 0.01
"""Seconds of root dispersion from which on it counts as settled: its first estimate is a second wide."""


class Chrony:
    """chronyd in ``folder``/chrony, asked at :attr:`address` or :attr:`unix_address`."""

    def __init__(self, folder: Path, *, more: str = "", moment: datetime | None = None) -> None:
        """``more`` are lines for its configuration. :meth:`start` starts it.

        With ``moment`` it and its server live in another time: they begin about then, and the system clock is right.
        """
        self.folder = folder / "chrony"
        self.folder.mkdir()
        self.folder.chmod(0o770)  # chronyd makes a command socket only where nobody else gets at it
        self.port = free_port()
        self.server = NTPServer(free_port())
        self._process: Process | None = None
        self.lead = timedelta() if moment is None else timedelta(seconds=round((moment - _now()).total_seconds()))
        """By how much its time is ahead of the machine's."""
        self.server.offset = self.lead.total_seconds()
        self._configuration = self.folder / "chrony.conf"
        self._configuration.write_text(
            f"server 127.0.0.1 port {self.server.port} minpoll -2 maxpoll -2 iburst\n"
            f"port 0\ncmdport {self.port}\nbindcmdaddress 127.0.0.1\nbindcmdaddress {self.socket}\n"
            f"pidfile {self.folder}/chronyd.pid\n{more}\n"
        )

    @property
    def address(self) -> str:
        """Where it is asked over UDP."""
        return f"udp:127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / "chronyd.sock"

    @property
    def unix_address(self) -> str:
        """Where it is asked over the Unix socket."""
        return f"unix:{self.socket}"

    def start(self) -> None:
        """Start chronyd, and wait until it is synchronised."""
        self.launch()
        wait_until(self._is_synchronised, what="chronyd")

    def launch(self) -> None:
        """Start chronyd."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        command = [program("chronyd"), "-x", "-d", "-U", "-u", user, "-f", str(self._configuration)]
        self._process = Process(command, log=self.folder / "chronyd.log", environment=self._environment())

    def stop(self) -> None:
        """End chronyd; its NTP server lives on for another :meth:`start`."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """SIGKILL: what it had opened stays where it was."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process = None

    def set_offset(self, seconds: float) -> None:
        """Let it find the system clock ahead of true time by so much, and wait until it says that."""
        self.server.offset = self.lead.total_seconds() - seconds

        def is_settled() -> bool:
            answer = self.ask("tracking")[0]
            return abs(-float(answer[4]) - seconds) < 0.01 and float(answer[11]) < MAX_DISPERSION

        wait_until(is_settled, what=f"an offset of {seconds} s")

    def lose_server(self) -> None:
        """Let its server fall silent, and wait until chronyd has noticed."""
        self.server.silent = True
        wait_until(lambda: not self._follows_server(), what="the loss of the server")

    def find_server(self) -> None:
        """Let its server answer again, and wait until chronyd follows it."""
        self.server.silent = False
        wait_until(self._follows_server, what="the return of the server")

    def ask(self, command: str) -> list[list[str]]:
        """The lines of ``chronyc -c``, split into their fields; none when chronyd does not answer."""
        options = ["-c", "-h", "127.0.0.1", "-p", str(self.port), command]
        done = run([program("chronyc"), *options], expect=None, seconds=30)
        return [line.split(",") for line in done.stdout.splitlines()] if done.returncode == 0 else []

    def offset(self) -> float:
        """By how many seconds it says that the system clock is ahead."""
        return -float(self.ask("tracking")[0][4])

    def announce_leap(self, indicator: int, status: str) -> None:
        """Let its server announce a leap second (1: inserted, 2: deleted, 0: none) until chronyd has that ``status``.

        chronyd believes it on the last day of June and December alone.
        """
        self.server.leap = indicator
        wait_until(lambda: self.ask("tracking")[0][-1] == status, what=status)

    def _environment(self) -> Mapping[str, str]:
        if not self.lead:
            return {}
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            pytest.fail("libfaketime is not installed; .ci/install-counterparts installs it")
        seconds = f"{self.lead.total_seconds():+.0f}"
        return {"LD_PRELOAD": str(library), "FAKETIME": seconds, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def _is_synchronised(self) -> bool:
        assert self._process is not None
        assert self._process.is_running, f"chronyd ended:\n{self._process.output()}"
        answer = self.ask("tracking")
        return bool(answer) and answer[0][-1] != "Not synchronised" and float(answer[0][11]) < MAX_DISPERSION

    def _follows_server(self) -> bool:
        return self.ask("sources")[0][1] == "*"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End chronyd and its server."""
        self.stop()
        self.server.stop()


def _now() -> datetime:
    return SystemClock().now()
