"""``cspctl scep ra``: the registration authorities of CAs."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation


@click.group("ra")
def ra() -> None:
    """Show and renew the registration authorities of CAs."""


@ra.command("list")
@click.pass_obj
def list_authorities(invocation: Invocation) -> None:
    """List the certificates of each registration authority of conf."""
    columns = ("ca", "role", "subject", "key", "not_after", "health", "reason")
    rows = invocation.run("scep-ra-list")
    invocation.output.rows(rows, columns, empty="no [[protocols.scep.registration_authorities]] in conf")


@ra.command()
@click.argument("ca")
@click.pass_obj
def renew(invocation: Invocation, ca: str) -> None:
    """Make a new key and certificate for the registration authority of CA now; the previous key still decrypts."""
    invocation.run("scep-ra-renew", ca=ca)
    invocation.output.text(f"{ca} has a new registration authority; GetCACert gives it in a few seconds", ca=ca)


__all__ = ["ra"]
