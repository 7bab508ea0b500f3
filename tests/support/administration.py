"""The administration of an installation in memory: ``cspctl`` itself, its operations, and no socket between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.task import Clock

from cspd.admin.client import read_answer
from cspd.admin.cspctl import main
from cspd.admin.endpoint import AdminEndpoint
from cspd.admin.operations.daemon import DaemonOperations
from cspd.admin.operations.values import Operations
from cspd.audit.chain import HashChain
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.certificates import Certificates
from cspd.config.problems import Problem
from cspd.daemon.administration import core_operations
from cspd.daemon.core import Core
from cspd.http.message import Request
from cspd.keys.encryption import MasterKey
from cspd.monitoring.assembly import build_monitoring
from cspd.plugin import EnrollmentURL
from cspd.turns import EndOfTurn
from tests.support.authorities import Installation
from tests.support.monitoring import StillMonitor
from tests.support.running import result_of


class FakeDaemon:
    """Implements :class:`cspd.admin.operations.daemon.Daemon`."""

    def __init__(self) -> None:
        self.warnings: Sequence[Problem] = ()
        self.refusal: Exception | None = None
        self.reloads = 0
        self.protocols = {"acme", "ocsp"}
        self.withdrawn: set[str] = set()
        self.urls = (
            EnrollmentURL(what="ACME", url="https://h/{ca}/d", command="client https://h/{ca}/d", profile="tls-server"),
        )

    def reload(self) -> Sequence[Problem]:
        """Say what the test has prepared."""
        if self.refusal is not None:
            raise self.refusal
        self.reloads += 1
        return self.warnings

    def withdraw(self, protocol: str) -> None:
        """Note it."""
        self.withdrawn.add(protocol)

    def deploy(self, protocol: str) -> Sequence[Problem]:
        """Note it, and reload."""
        warnings = self.reload()
        self.withdrawn.discard(protocol)
        return warnings

    def facts(self) -> Mapping[str, Any]:
        """A daemon with one listener."""
        return {
            "mode": "demo",
            "configuration": "/etc/cspd/cspd.toml",
            "process": 17,
            "listeners": {"http": "127.0.0.1:8080"},
            "protocols": sorted(self.protocols - self.withdrawn),
            "withdrawn": sorted(self.withdrawn),
        }

    def enrollment_urls(self) -> Sequence[EnrollmentURL]:
        """One."""
        return self.urls


class Administration:
    """``cspctl`` on an :class:`Installation`, whose audit log is a real hash chain."""

    def __init__(self, folder: Path) -> None:
        self.installation = house = Installation()
        self.chain = HashChain(house.database, house.clock, "node")
        self.daemon = FakeDaemon()
        self.config = folder / "cspd.toml"
        self.config.write_text("")
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.monitor = StillMonitor()
        certificates = Certificates(house.database)
        self.core = core = Core(
            monitoring=build_monitoring(
                reactor=Clock(),
                clock=house.clock,
                database=house.database,
                keys=house.keys,  # type: ignore[arg-type]  # never asked
                authorities=house.registry,
            ),
            enrollment_secrets=EnrollmentSecrets(
                clock=house.clock,
                random=Random(8),
                database=house.database,
                audit=self.chain,
                master_key=MasterKey(b"m" * 32, Random(9).randbytes),
            ),
            process="node-1",
            reactor=Clock(),
            end_of_turn=EndOfTurn(Clock().callLater),
            clock=house.clock,
            random=Random(7),
            database=house.database,
            keys=house.keys,  # type: ignore[arg-type]  # the interface, not the service
            audit=self.chain,
            authorities=house.registry,
            status=house.status,
            revocation=house.revocation,
            publication=house.publication,
            certificates=certificates,
            urls=house.urls,
        )
        of_daemon = DaemonOperations(
            daemon=self.daemon,
            clock=house.clock,
            authorities=house.registry,
            certificates=certificates,
            monitor=self.monitor,
        )
        operations = Operations((*core_operations(core, house.profiles), *of_daemon.operations()), self.chain)
        self._endpoint = AdminEndpoint(operations)

    def call(self, _: Path, operation: str, arguments: Mapping[str, Any]) -> Any:
        """In the place of :func:`cspd.admin.client.call`: the same bytes without a socket, from user 0."""
        self.calls.append((operation, arguments))
        request = Request(
            method="POST",
            target=b"/v1/" + operation.encode(),
            path=f"/v1/{operation}",
            query="",
            headers=(),
            peer="uid:0",
            body=json.dumps(dict(arguments)).encode(),
            parameters={"operation": operation},
            request_id="r-1",
        )
        response = result_of(self._endpoint.handle(request))
        return read_answer(response.status, response.body)

    def run(self, *arguments: str, given: str | None = None) -> Result:
        """``cspctl`` with these arguments, and what somebody types."""
        command = ["--config", str(self.config), *arguments]
        return CliRunner().invoke(main, command, input=given, catch_exceptions=False)

    def done(self, *arguments: str, given: str | None = None) -> str:
        """Standard output of a command that has to succeed."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """The answer of a command that has to succeed, for scripts."""
        return json.loads(self.done("--json", *arguments))

    def refused(self, *arguments: str) -> str:
        """The one line on standard error of a command that has to be refused; with ``--json`` the same as JSON."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        said = json.loads(self.run("--json", *arguments).stdout)
        line = result.stderr.removesuffix("\n")
        assert line == f"cspctl: {said['reason']}"
        return f"{said['error']}: {said['reason']}"

    def make_hierarchy(self) -> None:
        """Organization ``demo``, its CAs ``root`` and ``issuing``, all by cspctl."""
        self.done("org", "create", "demo")
        self.done("ca", "create", "demo~root", "--subject", "CN=Root,O=Example")
        self.done(
            *("ca", "create", "demo~issuing", "--issuer", "root", "--subject", "CN=Issuing,O=Example"),
            *("--profile", "tls-server", "--crl-days", "7"),
        )
