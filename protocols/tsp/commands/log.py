"""``log list``, ``log verify``, ``log export``: the timestamp log."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click

from cspd.admin.invocation import Invocation
from cspd.admin.output import printable
from protocols.tsp.commands.recorded import RecordedCommand
from protocols.tsp.timestamp_log_export import FIELDS, csv_line


@click.group()
def log() -> None:
    """Read, check and export the timestamp log."""


@log.command("list", cls=RecordedCommand)
@click.option("--serial", help="Only the token with this serial number, hexadecimal.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="The most rows.")
@click.pass_obj
def list_entries(invocation: Invocation, serial: str | None, limit: int) -> None:
    """List tokens in the order of their chains."""
    if serial is not None:
        rows = invocation.run("tsa-log-find", serial_number=serial)
    else:
        rows = list(islice(_entries(invocation), limit))
    columns = ("chain", "sequence", "issuer", "serial_number", "gen_time", "token_sha256")
    invocation.output.rows(rows, columns, empty="no tokens")


@log.command(cls=RecordedCommand)
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What an earlier `tsa log verify --json` printed: shows tokens cut off since.",
)
@click.pass_obj
def verify(invocation: Invocation, heads: Path | None) -> None:
    """Check the hash chains; exit status 1 if one is broken."""
    known = None
    if heads is not None:
        try:
            known = json.loads(heads.read_text())["heads"]
        except (OSError, ValueError, KeyError, TypeError):
            invocation.fail(f"{heads} is not what `tsa log verify --json` prints", code="malformed")
    report = invocation.run("tsa-log-verify", doing="checking", known_heads=known)
    if invocation.as_json:
        invocation.output.value(report)
    else:
        for each in report["breaks"]:
            said = f"{each['chain']} {each['sequence']}: {each['kind']}: {each['explanation']}"
            click.echo(printable(said), err=True)
        click.echo(f"{report['tokens']} tokens, {'sound' if report['sound'] else 'BROKEN'}")
    if not report["sound"]:
        sys.exit(1)


@log.command(cls=RecordedCommand)
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True)
@click.option("-o", "file", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output.")
@click.pass_obj
def export(invocation: Invocation, form: str, file: Path | None) -> None:
    """Write the whole log, as JSON Lines or CSV.

    Each line can be verified by itself, and all of them together without the store.
    """
    if file is None:
        _write(invocation, form, sys.stdout)
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            _write(invocation, form, stream)
    except OSError as error:
        invocation.fail(f"{file} cannot be written: {error.strerror}", code="output-refused")


def _write(invocation: Invocation, form: str, stream: TextIO) -> None:
    if form == "csv":
        stream.write(csv_line(FIELDS))
    for entry in _entries(invocation):
        stream.write(csv_line(entry.values()) if form == "csv" else json.dumps(entry) + "\n")


def _entries(invocation: Invocation) -> Iterator[dict[str, Any]]:
    for chain in invocation.run("tsa-log-chains"):
        after = 0
        while page := invocation.run("tsa-log-page", chain=chain, after=after):
            yield from page
            after = page[-1]["sequence"]
