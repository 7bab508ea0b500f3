"""``cspctl enrollment-secret``: secrets that clients of enrollment protocols prove themselves with."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation

_COLUMNS = ("reference", "purpose", "identity", "ca", "profile", "one_time", "state", "expires_at")


@click.group("enrollment-secret")
def enrollment_secret() -> None:
    """Make and revoke secrets of clients."""


@enrollment_secret.command()
@click.argument("protocol")
@click.argument("identity")
@click.option("--ca", help="Only for this CA: ORGANIZATION~ID.")
@click.option("--profile", help="Only for this profile.")
@click.option("--lifetime", default="7d", show_default=True, help='A span of time such as "12h".')
@click.option("--reusable", is_flag=True, help="For any number of certificates, not for one.")
@click.option("--tries", type=click.IntRange(1, 1000), default=10, show_default=True, help="Wrong ones that lock it.")
@click.pass_obj
def create(
    invocation: Invocation,
    protocol: str,
    identity: str,
    ca: str | None,
    profile: str | None,
    lifetime: str,
    reusable: bool,
    tries: int,
) -> None:
    """Make a secret of PROTOCOL (est, est-decrypt, cmp, scep) for IDENTITY, and show it once."""
    made = invocation.run(
        "enrollment-secret-create",
        purpose=protocol,
        identity=identity,
        ca=ca,
        profile=profile,
        lifetime=lifetime,
        one_time=not reusable,
        tries=tries,
    )
    invocation.output.record(made)


@enrollment_secret.command("list")
@click.option("--protocol", help="Only those of this protocol.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.pass_obj
def list_secrets(invocation: Invocation, protocol: str | None, limit: int) -> None:
    """List the secrets that have not expired, the oldest first; never the secret itself."""
    rows = invocation.run("enrollment-secret-list", purpose=protocol, limit=limit)
    invocation.output.rows(rows, _COLUMNS, empty="no enrollment secrets")


@enrollment_secret.command()
@click.argument("reference")
@click.pass_obj
def revoke(invocation: Invocation, reference: str) -> None:
    """Make a secret useless."""
    revoked = invocation.run("enrollment-secret-revoke", reference=reference)
    invocation.output.text("The secret is revoked.", **revoked)
