"""What ``cspctl cmp trust`` asks: whom messages are believed to be from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.refusals import NotFound
from cspd.x509.names import format_name
from protocols.cmp.config import CMPConfig
from protocols.cmp.trust import read_anchors


class TrustName(Arguments):
    """Which trust."""

    name: str


class TrustOperations:
    """Runs the operations on ``[[protocols.cmp.trust]]``, as the files were when the daemon read them."""

    def __init__(self, configuration: CMPConfig, folder: Path) -> None:
        """``folder`` is where relative paths start; raises :class:`protocols.cmp.trust.BadTrust`."""
        self._configuration = configuration
        self._anchors = {trust.name: read_anchors(folder / trust.anchors) for trust in configuration.trust}

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="cmp-trust-list", arguments=NoArguments, run=self.list, only_reads=True),
            Operation(name="cmp-trust-show", arguments=TrustName, run=self.show, only_reads=True),
        )

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """Each trust with the labels and registration authorities that use it."""
        return [
            {
                "name": trust.name,
                "file": trust.anchors,
                "anchors": len(self._anchors[trust.name]),
                "vendor_trust_of": [
                    label.id
                    for label in self._configuration.labels
                    if self._configuration.terms_of(label).vendor_trust == trust.name
                ],
                "registration_authorities_of": sorted(
                    {
                        ca
                        for each in self._configuration.registration_authorities
                        if each.trust == trust.name
                        for ca in each.cas or ("*",)
                    }
                ),
            }
            for trust in self._configuration.trust
        ]

    async def show(self, arguments: TrustName, caller: Caller) -> Any:
        """The anchors of one trust; raises NotFound."""
        if arguments.name not in self._anchors:
            raise NotFound(f"there is no trust {arguments.name!r}", code="no-such-trust")
        return [
            {
                "subject": format_name(anchor.subject),
                "serial": f"{anchor.serial_number:x}",
                "not_after": views.moment(anchor.not_valid_after_utc),
            }
            for anchor in self._anchors[arguments.name]
        ]
