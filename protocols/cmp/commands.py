"""``cspctl cmp``: secrets of clients, and who else is believed."""

from __future__ import annotations

import click

from cspd.admin.commands.enrollment_secret import commands_for
from cspd.admin.invocation import Invocation
from protocols.cmp.senders import PURPOSE


@click.group("cmp")
def cmp() -> None:
    """Secrets of clients and trust anchors of the Certificate Management Protocol."""


@cmp.group()
def trust() -> None:
    """Show the trust anchors of conf."""


@trust.command("list")
@click.pass_obj
def list_trust(invocation: Invocation) -> None:
    """List each trust with what it is used for."""
    columns = ("name", "file", "anchors", "vendor_trust_of", "registration_authorities_of")
    invocation.output.rows(invocation.run("cmp-trust-list"), columns, empty="no [[protocols.cmp.trust]] in conf")


@trust.command()
@click.argument("name")
@click.pass_obj
def show(invocation: Invocation, name: str) -> None:
    """Show the certificates of one trust."""
    rows = invocation.run("cmp-trust-show", name=name)
    invocation.output.rows(rows, ("subject", "serial", "not_after"), empty="no certificates")


cmp.add_command(commands_for(PURPOSE))
