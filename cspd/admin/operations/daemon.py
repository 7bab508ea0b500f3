"""``cspctl status`` and ``cspctl reload``: the daemon itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cspd import __version__
from cspd.admin import views
from cspd.admin.operations.values import Caller, NoArguments, Operation
from cspd.authority.certificates import Certificates
from cspd.authority.interfaces import Authorities
from cspd.clock import Clock
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.announcement import expand
from cspd.monitoring.interfaces import Monitor
from cspd.plugin import EnrollmentURL
from cspd.refusals import Conflict


class Daemon(Protocol):
    """The running daemon, as far as an administrator may ask it."""

    def reload(self) -> Sequence[Problem]:
        """Take the configuration as it is now; gives warnings, raises ConfigurationRefused."""
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
        try:
            warnings = self._daemon.reload()
        except ConfigurationRefused as refused:
            raise Conflict(f"the old configuration stays active:\n{refused}", code="configuration-refused") from refused
        return {"warnings": [warning.as_json() for warning in warnings]}
