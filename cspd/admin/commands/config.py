"""``cspctl config``: the conf files."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation


@click.group()
def config() -> None:
    """Check the conf files."""


@config.command()
@click.pass_obj
def check(invocation: Invocation) -> None:
    """Report every problem of the conf files.

    Needs no running daemon and changes nothing.

    Exit status 0 if the daemon would start with them, 1 if not.
    """
    configuration = invocation.configuration()
    for warning in configuration.warnings:
        if not invocation.as_json:
            click.echo(f"warning: {warning}", err=True)
    invocation.show(
        {"problems": [], "warnings": [warning.as_json() for warning in configuration.warnings]},
        f"{configuration.path}: no problems.",
    )
