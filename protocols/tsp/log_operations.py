"""What ``cspctl tsa log`` asks: the timestamp log, with the daemon and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from protocols.tsp.timestamp_log import Head
from protocols.tsp.timestamp_log_export import record
from protocols.tsp.timestamp_records import TimestampRecords


class Position(Arguments):
    """Where to read on."""

    chain: Annotated[str, Field(max_length=64)]
    after: Annotated[int, Field(ge=0)] = 0
    """A sequence number."""


class Serial(Arguments):
    """Which token."""

    serial_number: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{1,40}$")]


class KnownHead(Arguments):
    """The end of a chain, as an earlier check printed it."""

    sequence: Annotated[int, Field(ge=0)]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LogCheck(Arguments):
    """What the chains must still hold."""

    known_heads: Mapping[str, KnownHead] = Field(default_factory=dict)


class LogOperations:
    """Runs them."""

    def __init__(self, records: TimestampRecords) -> None:
        self._records = records

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="tsa-log-chains", arguments=NoArguments, run=self.chains, only_reads=True),
            Operation(name="tsa-log-page", arguments=Position, run=self.page, only_reads=True),
            Operation(name="tsa-log-find", arguments=Serial, run=self.find, only_reads=True),
            Operation(name="tsa-log-verify", arguments=LogCheck, run=self.verify, only_reads=True),
        )

    async def chains(self, arguments: NoArguments, caller: Caller) -> Any:
        """The names of all chains."""
        return await self._records.chains()

    async def page(self, arguments: Position, caller: Caller) -> Any:
        """The next rows of a chain; none at its end."""
        return [record(each) for each in await self._records.page(arguments.chain, arguments.after)]

    async def find(self, arguments: Serial, caller: Caller) -> Any:
        """The row of a token."""
        return [record(each) for each in await self._records.find(int(arguments.serial_number, 16))]

    async def verify(self, arguments: LogCheck, caller: Caller) -> Any:
        """Check all chains."""
        known = {chain: Head(each.sequence, bytes.fromhex(each.hash)) for chain, each in arguments.known_heads.items()}
        report = await self._records.verify(known_heads=known)
        return {
            "sound": report.is_sound,
            "tokens": report.tokens,
            "heads": {
                chain: {"sequence": head.sequence, "hash": head.hash.hex()} for chain, head in report.heads.items()
            },
            "breaks": [
                {
                    "chain": each.chain,
                    "sequence": each.sequence,
                    "kind": each.kind.value,
                    "explanation": each.explanation,
                }
                for each in report.breaks
            ],
        }
