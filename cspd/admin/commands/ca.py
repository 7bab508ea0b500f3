"""``cspctl ca``: certification authorities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cspd.admin.commands.pem import give_certificates, give_pem
from cspd.admin.invocation import Invocation
from cspd.authority.values import RevocationReason
from cspd.keys.values import KeyType

_COLUMNS = ("ca", "type", "state", "key_type", "subject", "not_after")
_KEY_TYPES = click.Choice([key_type.value for key_type in KeyType])
_KEY_TYPE_HELP = f"{', '.join(key_type.value for key_type in KeyType)}. [ec-p256]"
_PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_NOT_AFTER = click.option(
    "--not-after",
    type=click.DateTime(),
    metavar="TIME",
    help="When it expires: 2030-12-31 or 2030-12-31T12:00:00, UTC.",
)
_CA = click.argument("ca", metavar="ORG~CA")


@click.group()
def ca() -> None:
    """Make, show, renew and end CAs. A CA is named ORGANIZATION~ID."""


@ca.command()
@_CA
@click.option("--subject", required=True, help='The distinguished name, as "CN=Example CA,O=Example,C=DE".')
@click.option("--key-type", type=_KEY_TYPES, metavar="TYPE", default=KeyType.EC_P256.value, help=_KEY_TYPE_HELP)
@click.option("--issuer", metavar="CA", help="The id of the root that signs it; without one, this is a root.")
@click.option("--profile", "profiles", multiple=True, help="A profile it offers; repeat. [issuing CA: required]")
@click.option("--administrator", "administrators", multiple=True, help="A user; repeat. [you]")
@click.option("--auditor", "auditors", multiple=True, help="A user who may read; repeat.")
@_NOT_AFTER
@click.option("--ocsp/--no-ocsp", "ocsp_enabled", default=True, help="Answer OCSP, and say so in certificates. [yes]")
@click.option(
    "--ocsp-key-type", type=_KEY_TYPES, metavar="TYPE", help="The key type of the OCSP responder. [that of the CA]"
)
@click.option("--crl-days", type=click.IntRange(1), help="Days between CRLs. [made when somebody asks]")
@click.option("--delta-crl-hours", type=click.IntRange(1), help="Hours between delta CRLs. [none]")
@click.option("--record-before-signing", is_flag=True, help="Record every signature before it is made.")
@click.option("--key-provider", help='Where the key lives: "software" or a [keys.pkcs11.NAME]. [as configured]')
@click.pass_obj
def create(invocation: Invocation, /, ca: str, not_after: datetime | None, **options: Any) -> None:
    """Make a root CA, or with --issuer an issuing CA."""
    options["profiles"] = options["profiles"] or None
    made = invocation.run("ca-create", doing="making the key", ca=ca, not_after=_utc(not_after), **options)
    invocation.output.record(made)


@ca.command("list")
@click.argument("organization", required=False)
@click.pass_obj
def list_authorities(invocation: Invocation, organization: str | None) -> None:
    """List the CAs, all or those of one organization."""
    invocation.output.rows(invocation.run("ca-list", organization=organization), _COLUMNS, empty="no CAs")


@ca.command()
@_CA
@click.pass_obj
def show(invocation: Invocation, ca: str) -> None:
    """Show one CA."""
    invocation.output.record(invocation.run("ca-show", ca=ca))


@ca.command()
@_CA
@_OUTPUT
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write to a folder: chain.pem, and each certificate as 1.pem and 1.cer (DER), the CA's own first.",
)
@click.pass_obj
def chain(invocation: Invocation, ca: str, out: Path | None, folder: Path | None) -> None:
    """Print the certificate of a CA and its issuers, in PEM."""
    if out is not None and folder is not None:
        raise click.UsageError("--out or --folder")
    answer = invocation.run("ca-chain", ca=ca)
    if folder is None:
        give_pem(invocation, answer, out)
    else:
        give_certificates(invocation, answer, folder)


@ca.command()
@_CA
@_OUTPUT
@click.pass_obj
def csr(invocation: Invocation, ca: str, out: Path | None) -> None:
    """Print the certificate request for an external root, in PEM."""
    give_pem(invocation, invocation.run("ca-csr", doing="signing the request", ca=ca), out)


@ca.command("import")
@_CA
@click.argument("file", type=_PEM_FILE)
@click.option("--external-root", is_flag=True, help="FILE is a root whose key is elsewhere.")
@click.pass_obj
def import_certificate(invocation: Invocation, ca: str, file: Path, external_root: bool) -> None:
    """Take a certificate from an external root.

    FILE has, in PEM, the certificate that the root signed for ORG~CA by its request; or with --external-root the root's
    own, and ORG~CA is how it will be named here.
    """
    operation = "ca-import-root" if external_root else "ca-import"
    imported = invocation.run(operation, ca=ca, certificate_pem=file.read_text("ascii", "replace"))
    for warning in imported.pop("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    invocation.output.record(imported)


@ca.command()
@_CA
@click.option("--profile", "profiles", multiple=True, help="All profiles it shall offer; repeat.")
@click.option("--administrator", "administrators", multiple=True, help="All its administrators; repeat.")
@click.option("--auditor", "auditors", multiple=True, help="All its auditors; repeat.")
@click.pass_obj
def edit(invocation: Invocation, /, ca: str, **lists: Any) -> None:
    """Replace profiles, administrators or auditors.

    Each list that is given becomes the whole list; what is not given stays.
    """
    given: dict[str, Any] = {name: value or None for name, value in lists.items()}
    invocation.output.record(invocation.run("ca-edit", ca=ca, **given))


@ca.command()
@_CA
@click.option("--rekey", is_flag=True, help="Make a new key, too; certificates so far stay valid.")
@click.option("--key-type", type=_KEY_TYPES, metavar="TYPE", help="With --rekey: the type of the new key. [as before]")
@_NOT_AFTER
@click.pass_obj
def renew(invocation: Invocation, ca: str, rekey: bool, key_type: str | None, not_after: datetime | None) -> None:
    """Give a CA a new certificate for its key, or for a new one."""
    if key_type and not rekey:
        raise click.UsageError("--key-type goes with --rekey")
    doing = "making the key" if rekey else "signing"
    renewed = invocation.run("ca-renew", doing=doing, ca=ca, rekey=rekey, key_type=key_type, not_after=_utc(not_after))
    invocation.output.record(renewed)


@ca.command()
@_CA
@click.pass_obj
def crl(invocation: Invocation, ca: str) -> None:
    """Publish the CRLs of a CA now."""
    published = invocation.run("ca-crl", doing="publishing", ca=ca)
    invocation.output.rows(published, ("number", "delta", "entries", "this_update", "next_update"))


def _changing(name: str, operation: str, question: str, about: str) -> Callable[..., None]:
    @click.pass_obj
    def change(invocation: Invocation, ca: str, yes: bool) -> None:
        invocation.confirm(question.format(ca=ca), yes=yes)
        changed = invocation.run(operation, ca=ca)
        if "state" in changed:
            invocation.output.record(changed)
        else:
            invocation.output.text(f"{ca} is deleted.", ca=ca)

    change.__doc__ = about
    return ca.command(name)(_CA(_YES(change)))


_changing("disable", "ca-disable", "Stop issuance by {ca}?", "Stop issuance by a CA; CRLs and OCSP go on.")
_changing("enable", "ca-enable", "Let {ca} issue again?", "Let a disabled CA issue again.")
_changing(
    "delete",
    "ca-delete",
    "Delete {ca} and destroy its keys? This cannot be undone.",
    "Delete a CA and destroy its keys; its id rests for 24 hours.",
)


@ca.command()
@_CA
@click.option("--reason", type=click.Choice([reason.value for reason in RevocationReason]), required=True)
@_YES
@click.pass_obj
def revoke(invocation: Invocation, ca: str, reason: str, yes: bool) -> None:
    """Revoke an issuing CA through its root.

    All certificates that the CA has itself are revoked, and it is disabled.
    """
    invocation.confirm(f"Revoke the certificates of {ca}? This cannot be undone.", yes=yes)
    invocation.output.record(invocation.run("ca-revoke", ca=ca, reason=reason))


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()
