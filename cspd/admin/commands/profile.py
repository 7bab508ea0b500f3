"""``cspctl profile``: certificate profiles."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation


@click.group()
def profile() -> None:
    """Show the certificate profiles."""


@profile.command("list")
@click.pass_obj
def list_profiles(invocation: Invocation) -> None:
    """List all profiles."""
    invocation.output.rows(invocation.run("profile-list"), ("id", "category", "description"))


@profile.command()
@click.argument("profile_id")
@click.pass_obj
def show(invocation: Invocation, profile_id: str) -> None:
    """Show one profile."""
    invocation.output.record(invocation.run("profile-show", id=profile_id))
