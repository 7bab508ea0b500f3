"""The real daemon for interop tests: made by ``cspctl init --demo``, run by ``twistd``, on free ports of loopback.

with Daemon(tmp_path, changes={"protocols.acme.http01.port": 5002}) as daemon:
    run(["curl", "--cacert", daemon.root_pem, daemon.acme_directory()])
    daemon.cspctl("config", "check")
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.processes import Process, free_port, run, wait_until
from tests.support.softhsm import SoftHSM

ROOT = Path(__file__).resolve().parents[2]
READY = "cspd is ready"
TWISTD = Path(sys.executable).with_name("twistd")


def _obstacle_to_other_users() -> str | None:
    """Why a process of ours cannot become another user and go on; None if it can."""
    if os.geteuid() != 0:
        return "only root can become somebody else"
    closed = next((folder for folder in (ROOT, *ROOT.parents) if not folder.stat().st_mode & 0o001), None)
    return None if closed is None else f"{closed} is closed to the user to become, such as /root of a new machine"


needs_other_users = pytest.mark.skipif(
    _obstacle_to_other_users() is not None, reason=_obstacle_to_other_users() or "there is no obstacle"
)
"""Marks tests in which a program becomes another user, who then has to read this checkout."""


class Daemon:
    """One installation in ``tmp_path/cspd``, and the process that serves it."""

    def __init__(
        self,
        tmp_path: Path,
        *,
        changes: Mapping[str, Any] | None = None,
        store_url: str | None = None,
        token: SoftHSM | None = None,
        environment: Mapping[str, str] | None = None,
        folder: str = "cspd",
        start: bool = True,
    ) -> None:
        """``changes`` are keys of ``cspd.toml`` with dots (``"protocols.acme.order_expiry"``) and their new values.

        With ``store_url`` everything is in that (empty) database; with ``token`` the CAs' keys are in a new token.
        """
        self.folder = tmp_path / folder
        self.http_port, self.https_port = free_port(), free_port()
        self.log = tmp_path / f"{folder}.log"
        self._environment = {"PYTHONPATH": str(ROOT), **(environment or {})}
        self._process: Process | None = None
        options = ["--http-port", str(self.http_port), "--https-port", str(self.https_port)]
        if store_url is not None:
            options += ["--store", store_url]
        if token is not None:
            token.make_token("cspd", pin="1234")
            pin_file = tmp_path / "pin"
            pin_file.write_text("1234\n")
            self._environment["SOFTHSM2_CONF"] = str(token.configuration)
            options += ["--pkcs11-module", token.module, "--pkcs11-token", "cspd", "--pkcs11-pin-file", str(pin_file)]
        self.cspctl("init", "--demo", str(self.folder), *options, config=False)
        if changes:
            self.change(changes)
        if start:
            self.start()

    def another_node(self, folder: str = "cspd2") -> Daemon:
        """A second daemon on the same database: same public URLs and master key, own ports and state; not started.

        What it is asked has to come to its ports; its URLs name the first one.
        """
        other = copy.copy(self)
        other.folder, other.log = self.folder.with_name(folder), self.log.with_name(f"{folder}.log")
        other.http_port, other.https_port = free_port(), free_port()
        other._process = None
        shutil.copytree(self.folder, other.folder, ignore=shutil.ignore_patterns("lock", "admin.sock"))
        other.change(
            {
                "server.node": folder,
                "listeners.http.endpoint": f"tcp:{other.http_port}:interface=127.0.0.1",
                "listeners.https.endpoint": f"tcp:{other.https_port}:interface=127.0.0.1",
            }
        )
        return other

    @property
    def config(self) -> Path:
        """The ``cspd.toml``."""
        return self.folder / "cspd.toml"

    @property
    def root_pem(self) -> Path:
        """The trust anchor."""
        return self.folder / "pki" / "root.pem"

    @property
    def issuing_pem(self) -> Path:
        """The issuing CA's certificate."""
        return self.folder / "pki" / "issuing.pem"

    @property
    def http_url(self) -> str:
        """The base of plain URLs."""
        return f"http://localhost:{self.http_port}"

    @property
    def https_url(self) -> str:
        """The base of URLs with TLS; ``root_pem`` verifies it."""
        return f"https://localhost:{self.https_port}"

    def acme_directory(self, profile: str = "tls-server", *, ca: str = "demo~issuing", tenant: str = "demo") -> str:
        """An ACME directory."""
        return f"{self.https_url}/acme/{tenant}/{ca}/{profile}/directory"

    @property
    def pid(self) -> int:
        """The process id of the daemon."""
        return self._started.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.is_running

    def output(self) -> str:
        """What it logged so far, all its lives together."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set keys of ``cspd.toml``; None takes a key or a table away. :meth:`reload` makes it active."""
        values = tomllib.loads(self.config.read_text())
        for dotted, value in changes.items():
            *way, name = dotted.split(".")
            table = values
            for part in way:
                table = table.setdefault(part, {})
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        self.config.write_text(_toml(values))

    def start(self, *, seconds: float = 30) -> None:
        """Start ``twistd`` and wait until it serves; AssertionError with its output when it does not."""
        seen = self.output().count(READY)
        self._process = self.spawn()

        def is_ready() -> bool:
            assert self._started.is_running, f"the daemon ended:\n{self.output()}"
            return self.output().count(READY) > seen

        wait_until(is_ready, what="the daemon", seconds=seconds)

    def spawn(self) -> Process:
        """Start ``twistd`` on this installation without waiting (for tests of starts that fail)."""
        command = [str(TWISTD), "--nodaemon", "--pidfile=", "cspd", "--config", str(self.config)]
        return Process(command, log=self.log, environment=self._environment)

    def run_to_end(self, *, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """Start ``twistd`` where it is expected to refuse; gives its exit status and output."""
        command = [TWISTD, "--nodaemon", "--pidfile=", "cspd", "--config", self.config]
        return run(command, environment=self._environment, expect=None, seconds=seconds)

    def cspctl(
        self, *arguments: str, expect: int | None = 0, given: str | None = None, config: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``cspctl`` on this installation."""
        own = ["--config", str(self.config)] if config else []
        command = [sys.executable, "-m", "cspd.admin.cspctl", *own, *arguments]
        return run(command, environment=self._environment, expect=expect, given=given, cwd=ROOT)

    def cspctl_json(self, *arguments: str) -> Any:
        """Run ``cspctl --json`` and give what it answers."""
        return json.loads(self.cspctl("--json", *arguments).stdout)

    def reload(self) -> None:
        """SIGHUP, and wait for the daemon's word about it."""
        words = ("the configuration was reloaded", "the configuration was not reloaded")
        seen = sum(self.output().count(word) for word in words)
        self._started.send(signal.SIGHUP)
        wait_until(lambda: sum(self.output().count(word) for word in words) > seen, what="the reload")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._started.send(number)

    def wait(self, seconds: float = 30) -> int:
        """The exit status, once it has ended."""
        return self._started.wait(seconds)

    def stop(self) -> int:
        """SIGTERM; gives the exit status."""
        if self._process is None:
            return 0
        self._process.stop()
        return self._process.wait(1)

    def kill(self) -> None:
        """SIGKILL, at once."""
        os.kill(self._started.pid, signal.SIGKILL)
        self._started.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _started(self) -> Process:
        assert self._process is not None, "not started"
        return self._process


def _toml(values: Mapping[str, Any], at: str = "") -> str:
    """A TOML text of tables, lists and plain values."""
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{json.dumps(name)} = {_inline(value)}" for name, value in plain.items()]
    text = "\n".join(lines) + "\n" if lines else ""
    for name, table in tables.items():
        key = f"{at}.{json.dumps(name)}" if at else json.dumps(name)
        text += f"[{key}]\n{_toml(table, key)}"
    return text


def _inline(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_inline(each) for each in value)}]"
    if isinstance(value, dict):
        members = ", ".join(f"{json.dumps(name)} = {_inline(each)}" for name, each in value.items())
        return f"{{ {members} }}"
    return json.dumps(value)
