"""``cspctl key``: private keys, by their public facts."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation


@click.group()
def key() -> None:
    """Show the private keys, by their public facts."""


@key.command("list")
@click.pass_obj
def list_keys(invocation: Invocation) -> None:
    """List all keys of the software store and of all tokens that answer."""
    columns = ("reference", "key_type", "label", "used_by")
    invocation.output.rows(invocation.run("key-list"), columns, empty="no keys")
