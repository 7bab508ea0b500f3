"""``cspctl org``: organizations."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation

_COLUMNS = ("name", "administrators", "created_at")


@click.group()
def org() -> None:
    """Make organizations, which hold CAs, and join them."""


@org.command()
@click.argument("name")
@click.pass_obj
def create(invocation: Invocation, name: str) -> None:
    """Make an organization; you become its administrator.

    NAME has 3 to 14 of the characters a-z, 0-9, _ and -.
    """
    invocation.output.record(invocation.run("organization-create", name=name))


@org.command("list")
@click.pass_obj
def list_organizations(invocation: Invocation) -> None:
    """List all organizations."""
    invocation.output.rows(invocation.run("organization-list"), _COLUMNS, empty="no organizations")


@org.command()
@click.argument("name")
@click.pass_obj
def join(invocation: Invocation, name: str) -> None:
    """Become an administrator of an organization."""
    invocation.output.record(invocation.run("organization-join", name=name))


@org.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def leave(invocation: Invocation, name: str, yes: bool) -> None:
    """Be an administrator no longer.

    The organization and its CAs stay; its last administrator cannot leave while it has CAs.
    """
    invocation.confirm(f"Leave {name}?", yes=yes)
    invocation.run("organization-leave", name=name)
    invocation.output.text(f"You administer {name} no longer.", name=name)


@org.command("add-administrator")
@click.argument("name")
@click.argument("users", nargs=-1, required=True)
@click.pass_obj
def add_administrator(invocation: Invocation, name: str, users: tuple[str, ...]) -> None:
    """Make users of this machine administrators."""
    invocation.output.record(invocation.run("organization-add-administrators", name=name, users=users))
