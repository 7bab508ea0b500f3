"""``cspctl status`` and ``cspctl reload``: the daemon itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from cspd import __version__
from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.authority.certificates import Certificates
from cspd.authority.interfaces import Authorities
from cspd.clock import Clock
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.announcement import expand
from cspd.monitoring.interfaces import Monitor
from cspd.plugin import EnrollmentURL
from cspd.refusals import Conflict, Unavailable


class ProtocolName(Arguments):
    """Which protocol, by its name in conf."""

    protocol: str


class Daemon(Protocol):
    """The running daemon, as far as an administrator may ask it."""

    def reload(self) -> Sequence[Problem]:
        """Take the configuration as it is now; gives warnings, raises ConfigurationRefused."""
        ...

    def withdraw(self, protocol: str) -> None:
        """Take a protocol out of service, and change nothing else; raises ConfigurationRefused, OSError."""
        ...

    def deploy(self, protocol: str) -> Sequence[Problem]:
        """The same as a reload, and the protocol is in service again; raises OSError too."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """JSON values: mode, configuration, process, listeners, protocols."""
        ...

    def enrollment_urls(self) -> Sequence[EnrollmentURL]:
        """Where clients go; ``{ca}`` stands for every CA that serves."""
        ...


class DaemonOperations:
    """Runs the operations on the daemon."""

    def __init__(
        self,
        *,
        daemon: Daemon,
        clock: Clock,
        authorities: Authorities,
        certificates: Certificates,
        monitor: Monitor,
    ) -> None:
        self._daemon = daemon
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._monitor = monitor

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="daemon-status", arguments=NoArguments, run=self.status, only_reads=True),
            Operation(name="daemon-reload", arguments=NoArguments, run=self.reload),
            Operation(name="daemon-withdraw", arguments=ProtocolName, run=self.withdraw),
            Operation(name="daemon-deploy", arguments=ProtocolName, run=self.deploy),
        )

    async def status(self, arguments: NoArguments, caller: Caller) -> Any:
        """What runs."""
        now = self._clock.now()
        report = await self._monitor.health()
        authorities = await self._authorities.list()
        counts = await self._certificates.counts()
        return {
            "version": __version__,
            "time": views.moment(now),
            **self._daemon.facts(),
            "health": report.state.value,
            "parts": [{"part": each.part, "state": each.state.value, "reason": each.reason} for each in report.parts],
            "enrollment_urls": [
                {"what": each.what, "url": each.url, "command": each.command}
                for each in expand(self._daemon.enrollment_urls(), authorities)
            ],
            "authorities": [views.authority_row(each, now) for each in authorities],
            "certificates": {state.value: count for state, count in counts.items()},
        }

    async def reload(self, arguments: NoArguments, caller: Caller) -> Any:
        """Apply the configuration as it is now, whole or not at all."""
        with _refusals():
            warnings = self._daemon.reload()
        return {"warnings": [warning.as_json() for warning in warnings]}

    async def withdraw(self, arguments: ProtocolName, caller: Caller) -> Any:
        """Take a protocol out of service until it is deployed."""
        facts = self._daemon.facts()
        if arguments.protocol not in facts["protocols"]:
            is_out = arguments.protocol in facts["withdrawn"]
            raise Conflict(f"{arguments.protocol} is {'out of service already' if is_out else 'not deployed'}")
        with _refusals():
            self._daemon.withdraw(arguments.protocol)
        return {"protocol": arguments.protocol}

    async def deploy(self, arguments: ProtocolName, caller: Caller) -> Any:
        """Apply the configuration as it is now, with a protocol in service that was stopped."""
        with _refusals():
            warnings = self._daemon.deploy(arguments.protocol)
        if arguments.protocol not in self._daemon.facts()["protocols"]:
            raise Conflict(f"the configuration is active, and has no [protocols.{arguments.protocol}]")
        return {"warnings": [warning.as_json() for warning in warnings]}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ConfigurationRefused as refused:
        raise Conflict(f"the old configuration stays active:\n{refused}", code="configuration-refused") from refused
    except (OSError, ValueError) as error:
        raise Unavailable(f"the state folder does not take it: {error}") from error
