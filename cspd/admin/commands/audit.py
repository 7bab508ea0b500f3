"""``cspctl audit``: the audit log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cspd.admin.invocation import Invocation
from cspd.admin.output import printable
from cspd.audit.events import Outcome


@click.group()
def audit() -> None:
    """Check and read the audit log."""


@audit.command()
@click.option("--chain", help="Only this chain; there is one for each node.")
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Heads kept from an earlier `audit verify --json`: shows events cut off since.",
)
@click.pass_obj
def verify(invocation: Invocation, chain: str | None, heads: Path | None) -> None:
    """Check the hash chains; exit status 1 if one is broken."""
    known = None if heads is None else _heads(heads)
    report = invocation.run("audit-verify", doing="checking", chain=chain, known_heads=known)
    if invocation.as_json:
        invocation.output.record(report)
    else:
        for each in report["breaks"]:
            place = printable(f"{each['chain']} {each['sequence']}: {each['kind']}: {each['explanation']}")
            click.echo(place, err=True)
        verdict = "sound" if report["sound"] else "BROKEN"
        click.echo(f"{report['events']} events in {len(report['heads'])} chains: {verdict}")
    if not report["sound"]:
        sys.exit(1)


@audit.command()
@click.option("--count", "-n", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.pass_obj
def tail(invocation: Invocation, count: int) -> None:
    """Show the latest events, oldest first."""
    events = invocation.run("audit-tail", count=count)
    output = invocation.output
    if invocation.as_json:
        output.value(events)
        return
    for event in events:
        outcome = "" if event["outcome"] == Outcome.SUCCESS.value else f" {event['outcome'].upper()}"
        output.entry(f"{event['recorded_at']} {event['event']}{outcome} by {event['actor']}", event["fields"])
    if not events:
        output.text("no events")


def _heads(file: Path) -> Any:
    """What an earlier `audit verify --json` answered, or only its ``heads``."""
    try:
        kept = json.loads(file.read_bytes())
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise click.BadParameter(f"{file} is not the answer of `audit verify --json`", param_hint="--heads")
    return kept.get("heads", kept)
