"""``cspctl audit``: the audit log."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cspd.admin.invocation import Invocation


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
    known = None
    if heads is not None:
        kept = json.loads(heads.read_text())
        known = kept.get("heads", kept)
    report = invocation.run("audit-verify", doing="checking", chain=chain, known_heads=known)
    if invocation.as_json:
        invocation.output.record(report)
    else:
        for each in report["breaks"]:
            click.echo(f"{each['chain']} {each['sequence']}: {each['kind']}: {each['explanation']}", err=True)
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
    if not invocation.as_json:
        for event in events:
            event["what"] = ", ".join(f"{name}={value}" for name, value in event["fields"].items() if value)
    invocation.output.rows(events, ("recorded_at", "event", "outcome", "actor", "what"), empty="no events")
