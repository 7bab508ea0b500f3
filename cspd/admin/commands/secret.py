"""``cspctl secret``: the secret store (R-PLAT-047 to 050). Values go in and never come out."""

from __future__ import annotations

import base64
import binascii
import sys
from pathlib import Path

import click

from cspd.admin.invocation import Invocation
from cspd.config.secrets import MAX_SECRET_BYTES


@click.group()
def secret() -> None:
    """Keep the secrets that conf refers to."""


@secret.command("set")
@click.argument("secret_id")
@click.option("--from-literal", "literal", help="The value itself. Other users may see it in the list of processes.")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the Base64 encoding of the value.",
)
@click.pass_obj
def set_secret(invocation: Invocation, secret_id: str, literal: str | None, file: Path | None) -> None:
    """Keep a secret.

    Without an option, asks for it, or reads it from standard input.
    """
    if literal is not None and file is not None:
        raise click.UsageError("--from-literal and --from-file exclude each other")
    store = invocation.secret_store()
    try:
        store.set(secret_id, _value(literal, file))
    except (ValueError, OSError) as error:
        invocation.fail(str(error), code="secret-refused")
    invocation.show({"id": secret_id}, f"Secret {secret_id} is kept; `cspctl reload` or a restart makes it active.")


def _value(literal: str | None, file: Path | None) -> bytes:
    if literal is not None:
        return literal.encode("utf-8", "surrogateescape")
    if file is not None:
        with file.open("rb") as stream:
            encoded = stream.read(2 * MAX_SECRET_BYTES)  # Base64 of the longest, with room for line ends
        try:
            return base64.b64decode(b"".join(encoded.split()), validate=True)
        except binascii.Error:
            raise ValueError(f"{file} does not hold Base64") from None
    if sys.stdin.isatty():
        answer: str = click.prompt("Value", hide_input=True, confirmation_prompt=True)
        return answer.encode("utf-8", "surrogateescape")
    return sys.stdin.buffer.read(MAX_SECRET_BYTES + 2).removesuffix(b"\n")


@secret.command("list")
@click.pass_obj
def list_secrets(invocation: Invocation) -> None:
    """List the ids of the secrets."""
    ids = invocation.secret_store().list()
    invocation.show(ids, "\n".join(ids) if ids else "The secret store is empty.")


@secret.command("delete")
@click.argument("secret_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete_secret(invocation: Invocation, secret_id: str, yes: bool) -> None:
    """Forget a secret."""
    invocation.confirm(f"Forget the secret {secret_id}?", yes=yes)
    try:
        invocation.secret_store().delete(secret_id)
    except (KeyError, ValueError):
        invocation.fail(f'no secret "{secret_id}" in the secret store', code="not-found")
    invocation.show({"id": secret_id}, f"Secret {secret_id} is forgotten.")
