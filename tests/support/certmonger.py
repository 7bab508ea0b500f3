"""certmonger on a message bus of its own, as it runs on Fedora and Debian, with everything it keeps in a folder."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import Process, program, run, wait_until

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
_ADDRESS = re.compile(r"^(unix:\S+)$", re.MULTILINE)
_STATUS = re.compile(r"^\s*status: (\S+)$", re.MULTILINE)


class Certmonger:
    """The daemon, and ``getcert`` to tell it what to do; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[Process] = []
        self._environment = {"HOME": str(folder)}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def add_scep_ca(self, name: str, url: str) -> None:
        """Tell it of a server; it has what GetCACaps and GetCACert give when this returns."""
        self._getcert("add-scep-ca", "-c", name, "-u", url)
        wait_until(lambda: "thumbprint" in self._getcert("list-cas", "-c", name)[1], what="the certificates of the CA")

    def request(self, name: str, ca: str, *options: str) -> None:
        """Have it make a key, and ask for a certificate and keep it renewed; files have that name."""
        self._getcert(
            "request", "-I", name, "-c", ca, "-k", str(self.key(name)), "-f", str(self.certificate(name)), *options
        )

    def do(self, verb: str, name: str, *options: str) -> None:
        """``resubmit``, ``rekey`` or ``refresh`` what it takes care of."""
        self._getcert(verb, "-i", name, *options)

    def key(self, name: str) -> Path:
        """The key, PEM."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The certificate, PEM."""
        return self.folder / f"{name}.pem"

    def status(self, name: str) -> str:
        """Its word for how a certificate is doing: MONITORING when all is well."""
        found = _STATUS.search(self._getcert("list", "-i", name)[1])
        assert found is not None
        return found[1]

    def _start(self) -> None:
        for name in ("config", "requests", "cas", "local_ca"):
            (self.folder / name).mkdir(parents=True)
            self._environment[f"CERTMONGER_{name.upper()}_DIR"] = str(self.folder / name)
        (self.folder / "bus.conf").write_text(_BUS)
        options = [f"--config-file={self.folder / 'bus.conf'}", "--nofork", "--print-address"]
        bus = self._run("dbus-daemon", *options)
        wait_until(lambda: _ADDRESS.search(bus.output()) is not None, what="the message bus")
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = _ADDRESS.findall(bus.output())[0]
        self._run("certmonger", "-s", "-n", "-d", "2")
        wait_until(lambda: self._getcert("list", expect=None)[0] == 0, what="certmonger")

    def _stop(self) -> None:
        for process in reversed(self._processes):
            process.stop()

    def _run(self, name: str, *options: str) -> Process:
        process = Process([program(name), *options], log=self.folder / f"{name}.log", environment=self._environment)
        self._processes.append(process)
        return process

    def _getcert(self, verb: str, *options: str, expect: int | None = 0) -> tuple[int, str]:
        done = run([program("getcert"), verb, "-s", *options], environment=self._environment, expect=expect)
        return done.returncode, done.stdout
