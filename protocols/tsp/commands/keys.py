"""``create-key``, ``create-csr``, ``delete-key``, ``list-keys``: the keys that sign tokens."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from cspd.admin.invocation import Invocation
from cspd.admin.output import printable
from cspd.keys.values import KeyType
from cspd.x509.names import NameSyntaxError, attribute_names, parse_name
from protocols.tsp.commands.doors import KeyDoor, open_door
from protocols.tsp.commands.exclusion import AnotherInstance, alone
from protocols.tsp.commands.recorded import RecordedCommand

F = TypeVar("F", bound=Callable[..., Any])

LABEL = "tsa"
"""CKA_LABEL of the keys made here."""
_NAMES_OF_THE_GUIDE = {
    "RSA2048": KeyType.RSA_2048,
    "RSA3072": KeyType.RSA_3072,
    "RSA4096": KeyType.RSA_4096,
    "ECDSAP256": KeyType.EC_P256,
    "ECDSAP384": KeyType.EC_P384,
    "ECDSAP521": KeyType.EC_P521,
}
KEY_TYPES = {**_NAMES_OF_THE_GUIDE, **{each.value: each for each in KeyType}}
"""What ``-k`` takes: the six names of the guide, and ours."""


def token_options(command: F) -> F:
    """``-p``, ``-t``, ``-v``: which token, and how to log in."""
    for option in (
        click.option(
            "-v",
            "vendor",
            type=click.Choice(["none", "nshield", "thales"]),
            help="The vendor of the HSM; the configured one if not given.",
        ),
        click.option("-t", "token", help="The label of the token; the configured one if not given."),
        click.option("-p", "pin", help="The PIN; else the stored one, else it is asked for."),
    ):
        command = option(command)
    return command


_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_subject = click.option("-s", "subject", help="The subject, for example 'CN=Unit 1,O=Example'. [CN=<key id>]")
_output = click.option(
    "-o",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for the CSR, instead of standard output.",
)


@click.command("create-key", cls=RecordedCommand)
@click.option("-k", "key_type", required=True, type=click.Choice(list(KEY_TYPES)), metavar="TYPE")
@_subject
@_output
@token_options
@_yes
@click.pass_obj
def create_key(
    invocation: Invocation,
    key_type: str,
    subject: str | None,
    file: Path | None,
    pin: str | None,
    token: str | None,
    vendor: str | None,
    yes: bool,
) -> None:
    """Make a key for signing timestamps, and a CSR for it.

    TYPE is RSA2048, RSA3072, RSA4096, ECDSAP256, ECDSAP384, ECDSAP521, or a name as in conf files: ec-p256, ed25519,
    ml-dsa-65.
    """
    check_subject(invocation, subject)
    with _exclusively(invocation), _csr_file(invocation, file) as keep:
        door = open_door(invocation, label=token, vendor=vendor, pin=pin)
        invocation.confirm(f"Make a key of type {key_type} on the token {door.label}?", yes=yes)
        _say_token(invocation, door)
        made = door.run("key-create", key_type=KEY_TYPES[key_type].value, label=LABEL, subject=subject)
        keep(made["csr"])
    _show(invocation, made, file, f"Created key with id {made['key_id']}\n")


@click.command("create-csr", cls=RecordedCommand)
@click.option("-k", "key_id", required=True, metavar="KEY_ID", help="As `list-keys` shows it.")
@_subject
@_output
@token_options
@_yes
@click.pass_obj
def create_csr(
    invocation: Invocation,
    key_id: str,
    subject: str | None,
    file: Path | None,
    pin: str | None,
    token: str | None,
    vendor: str | None,
    yes: bool,
) -> None:
    """Make another CSR for a key that `create-key` made."""
    check_subject(invocation, subject)
    with _csr_file(invocation, file) as keep:
        door = open_door(invocation, label=token, vendor=vendor, pin=pin)
        invocation.confirm(f"Make a CSR for the key {key_id}?", yes=yes)
        _say_token(invocation, door)
        made = door.run("key-request", key_id=key_id, subject=subject)
        keep(made["csr"])
    _show(invocation, made, file, "")


@click.command("delete-key", cls=RecordedCommand)
@click.option("-k", "key_id", required=True, metavar="KEY_ID", help="As `list-keys` shows it.")
@token_options
@_yes
@click.pass_obj
def delete_key(
    invocation: Invocation, key_id: str, pin: str | None, token: str | None, vendor: str | None, yes: bool
) -> None:
    """Destroy both halves of a key, for good."""
    with _exclusively(invocation):
        door = open_door(invocation, label=token, vendor=vendor, pin=pin)
        whose = "" if yes else _issuers_with(invocation, door, key_id)
        invocation.confirm(f"Destroy the key {key_id} on the token {door.label} for good?{whose}", yes=yes)
        deleted = door.run("key-delete", key_id=key_id)
    lines = [f"Deleted {half} key with id {deleted['key_id']}" for half in deleted["deleted"]]
    invocation.show(deleted, "\n".join(lines))


@click.command("list-keys", cls=RecordedCommand)
@token_options
@click.pass_obj
def list_keys(invocation: Invocation, pin: str | None, token: str | None, vendor: str | None) -> None:
    """List the keys on the token, those of others too."""
    found = open_door(invocation, label=token, vendor=vendor, pin=pin).run("key-objects")
    blocks = [
        f"{each['object'].capitalize()} Key Object; {each['kind']}\n"
        f"  Label:      {printable(each['label'])}\n"
        f"  ID:         {each['key_id']}\n"
        f"  Usage:      {', '.join(each['usage']) or 'none'}"
        for each in found
    ]
    invocation.show(found, "\n".join(blocks) if blocks else "no keys")


def check_subject(invocation: Invocation, subject: str | None) -> None:
    """End the command for what is no name, and for attribute names that are not in capitals (R-TSA-074)."""
    if subject is None:
        return
    try:
        parse_name(subject)
        unknown = [name for name in attribute_names(subject) if name != name.upper()]
    except NameSyntaxError as error:
        invocation.fail(f"the subject is not a distinguished name: {error}", code="bad-name")
    if unknown:
        invocation.fail(f"{unknown[0]} is not recognised: names of attributes are in capitals", code="bad-name")


@contextmanager
def _exclusively(invocation: Invocation) -> Iterator[None]:
    try:
        with alone(invocation.state_folder(), os.environ):
            yield
    except AnotherInstance as busy:
        if invocation.as_json:
            invocation.fail(str(busy), code="busy")
        click.echo(str(busy), err=True)  # the guide's words, and nothing before them
        sys.exit(1)


@contextmanager
def _csr_file(invocation: Invocation, file: Path | None) -> Iterator[Callable[[str], None]]:
    """Give what keeps the CSR; a file that cannot be written is told before a key is made for nothing."""
    if file is None:
        yield lambda csr: None
        return
    try:
        stream = file.open("a+", encoding="ascii")
    except OSError as error:
        invocation.fail(f"{file} cannot be written: {error.strerror}", code="output-refused")
    with stream:
        is_new = stream.tell() == 0

        def keep(csr: str) -> None:
            stream.truncate(0)
            stream.write(csr)
            stream.flush()

        try:
            yield keep
        except BaseException:
            if is_new:
                with suppress(OSError):  # root may have become the owner of the state folder by now
                    file.unlink()
            raise


def _issuers_with(invocation: Invocation, door: KeyDoor, key_id: str) -> str:
    """A sentence about the issuers that sign with a key now, as far as a daemon tells."""
    references = {each["reference"] for each in door.run("key-objects") if each["key_id"] == key_id.lower()} - {None}
    issuers = [each["issuer"] for each in invocation.told_by_daemon("tsa-list") or () if each.get("key") in references]
    return f" It signs the timestamps of {', '.join(issuers)}." if issuers else ""


def _say_token(invocation: Invocation, door: KeyDoor) -> None:
    if not invocation.as_json:
        click.echo(f"Using token with label {printable(door.label)}")


def _show(invocation: Invocation, made: dict[str, Any], file: Path | None, before: str) -> None:
    text = before + (f"CSR:\n{made['csr']}" if file is None else f"The CSR is in {file}")
    invocation.show(made, text.rstrip("\n"))
