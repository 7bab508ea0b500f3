"""The log of tokens as JSON Lines and CSV, and checking such a file without the store.

A record of either form has the same fields, in this order: chain, sequence, issuer, serial_number, gen_time,
token_sha256, previous_hash, hash. So each can be verified by itself: its hash is that of the fields before it (see
:meth:`protocols.tsp.timestamp_log.LogEntry.computed_hash`), and the previous hash is the hash of the record before.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime

from cspd.refusals import Malformed
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.timestamp_log import Head, LogEntry, gen_time_text
from protocols.tsp.timestamp_log_verification import ChainCheck, LogReport, report
from protocols.tsp.timestamp_records import TimestampRecords

FIELDS = ("chain", "sequence", "issuer", "serial_number", "gen_time", "token_sha256", "previous_hash", "hash")


async def json_lines(records: TimestampRecords) -> AsyncIterator[str]:
    """All rows, chain by chain, each a JSON object and a line feed."""
    async for entry in _all(records):
        yield json.dumps(record(entry)) + "\n"


async def csv_lines(records: TimestampRecords) -> AsyncIterator[str]:
    """A line of field names and a line for each row, chain by chain (RFC 4180)."""
    yield csv_line(FIELDS)
    async for entry in _all(records):
        yield csv_line(record(entry).values())


def record(entry: LogEntry) -> dict[str, str | int]:
    """A row as JSON values: the serial and the hashes in lower-case hexadecimal, genTime in ISO 8601."""
    return {
        "chain": entry.chain,
        "sequence": entry.sequence,
        "issuer": entry.token.issuer,
        "serial_number": f"{entry.token.serial_number:x}",
        "gen_time": gen_time_text(entry.token),
        "token_sha256": entry.token.token_sha256.hex(),
        "previous_hash": entry.previous_hash.hex(),
        "hash": entry.hash.hex(),
    }


def verify_json_lines(lines: Iterable[str], *, known_heads: Mapping[str, Head] | None = None) -> LogReport:
    """Check an export by itself; without ``known_heads`` a missing end does not show. Raises Malformed."""
    return _verify((_entry(number, _json_object(number, line)) for number, line in enumerate(lines, 1)), known_heads)


def verify_csv(lines: Iterable[str], *, known_heads: Mapping[str, Head] | None = None) -> LogReport:
    """As :func:`verify_json_lines`."""
    rows = enumerate(csv.reader(lines), 1)
    try:
        if tuple(next(rows, (1, ()))[1]) != FIELDS:
            raise Malformed(f"the first line is not {','.join(FIELDS)}")
        return _verify((_entry(number, dict(zip(FIELDS, row, strict=False))) for number, row in rows), known_heads)
    except csv.Error as error:
        raise Malformed(f"it is not CSV: {error}") from error


async def _all(records: TimestampRecords) -> AsyncIterator[LogEntry]:
    for chain in await records.chains():
        async for entry in records.entries(chain):
            yield entry


def csv_line(fields: Iterable[str | int]) -> str:
    """A line of CSV with its line end (RFC 4180)."""
    line = io.StringIO()
    csv.writer(line).writerow(fields)
    return line.getvalue()


def _verify(entries: Iterator[LogEntry], known_heads: Mapping[str, Head] | None) -> LogReport:
    known = known_heads or {}
    checks = {chain: ChainCheck(chain, known_head=head) for chain, head in known.items()}
    begun: set[str] = set()
    for entry in entries:
        check = checks.setdefault(entry.chain, ChainCheck(entry.chain))
        if entry.chain not in begun:  # what was before the first record had been pruned when the export was made
            begun.add(entry.chain)
            check.go_on_from(Head(entry.sequence - 1, entry.previous_hash))
        check.add(entry)
    for check in checks.values():
        check.end()
    return report(checks)


def _json_object(number: int, line: str) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"line {number} is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed(f"line {number} is not a JSON object")
    return value


def _entry(number: int, fields: Mapping[str, object]) -> LogEntry:
    try:
        texts = {name: str(fields[name]) for name in FIELDS}
        return LogEntry(
            chain=texts["chain"],
            sequence=int(texts["sequence"]),
            token=LoggedToken(
                issuer=texts["issuer"],
                serial_number=int(texts["serial_number"], 16),
                gen_time=datetime.fromisoformat(texts["gen_time"]),
                token_sha256=bytes.fromhex(texts["token_sha256"]),
            ),
            previous_hash=bytes.fromhex(texts["previous_hash"]),
            hash=bytes.fromhex(texts["hash"]),
        )
    except (KeyError, ValueError) as error:
        raise Malformed(f"line {number} is not a record of the timestamp log") from error
