"""``cspctl enrollment-secret``: secrets that clients of enrollment protocols prove themselves with.

Protocols that have secrets of their own offer the same commands, :func:`commands_for` one protocol.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from cspd.admin.invocation import Invocation

_NAMES = click.Option(
    ["--name", "names"], multiple=True, help="What the request may name, and nothing else; may be given several times."
)
_COLUMNS = ("reference", "purpose", "identity", "ca", "profile", "one_time", "state", "expires_at")
_OPTIONS = (
    click.option("--ca", help="Only for this CA: ORGANIZATION~ID."),
    click.option("--profile", help="Only for this profile."),
    click.option("--lifetime", default="7d", show_default=True, help='A span of time such as "12h".'),
    click.option("--one-time/--reusable", default=True, show_default=True, help="For one certificate, or any number."),
    click.option(
        "--tries", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Wrong ones that lock it."
    ),
    click.option(
        "--reference", help="Of a secret that was made elsewhere, which is read from standard input or asked for."
    ),
)


@click.group("enrollment-secret")
def enrollment_secret() -> None:
    """Make and revoke secrets of clients."""


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@enrollment_secret.command()
@click.argument("protocol")
@click.argument("identity")
@_with_options
@click.pass_obj
def create(invocation: Invocation, /, protocol: str, identity: str, **options: Any) -> None:
    """Make a secret of PROTOCOL (est, cmp, scep) for IDENTITY, and show it once."""
    invocation.output.record(_create(invocation, protocol, identity, **options))


@enrollment_secret.command("list")
@click.option("--protocol", help="Only those of this protocol.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.pass_obj
def list_secrets(invocation: Invocation, protocol: str | None, limit: int) -> None:
    """List the secrets that have not expired, the oldest first; never the secret itself."""
    _list(invocation, protocol, limit)


@enrollment_secret.command()
@click.argument("reference")
@click.pass_obj
def revoke(invocation: Invocation, reference: str) -> None:
    """Make a secret useless."""
    revoked = invocation.run("enrollment-secret-revoke", reference=reference)
    invocation.output.text("The secret is revoked.", **revoked)


def commands_for(
    protocol: str,
    name: str = "secret",
    *,
    with_names: bool = False,
    shown: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> click.Group:
    """The group ``name`` of a protocol: ``create``, ``list`` and ``revoke`` of its own secrets.

    ``with_names`` is for a protocol that checks the names of requests; ``shown`` makes of a new secret what is shown of
    it, this once.
    """

    @click.group(name, help=f"Make and revoke {name}s of clients.")
    def secret() -> None:
        """The help is above, by name."""

    @secret.command("create")
    @click.argument("identity")
    @_with_options
    @click.pass_obj
    def create_one(invocation: Invocation, /, identity: str, **options: Any) -> None:
        """Make one for IDENTITY, and show it once."""
        invocation.output.record(shown(_create(invocation, protocol, identity, **options)))

    if with_names:
        create_one.params.append(_NAMES)

    @secret.command("list")
    @click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
    @click.pass_obj
    def list_all(invocation: Invocation, limit: int) -> None:
        """List those that have not expired, the oldest first; never the secret itself."""
        _list(invocation, protocol, limit)

    secret.add_command(revoke)
    return secret


def _create(
    invocation: Invocation,
    protocol: str,
    identity: str,
    *,
    reference: str | None,
    names: tuple[str, ...] = (),
    **options: Any,
) -> dict[str, Any]:
    secret = None if reference is None else _given_secret()
    made: dict[str, Any] = invocation.run(
        "enrollment-secret-create",
        purpose=protocol,
        identity=identity,
        reference=reference,
        secret=secret,
        names=list(names) or None,
        **options,
    )
    return made


def _list(invocation: Invocation, protocol: str | None, limit: int) -> None:
    rows = invocation.run("enrollment-secret-list", purpose=protocol, limit=limit)
    invocation.output.rows(rows, _COLUMNS, empty="no enrollment secrets")


def _given_secret() -> str:
    """Never an argument, which others on the machine could see."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")
