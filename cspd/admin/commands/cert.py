"""``cspctl cert``: issued certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from cspd.admin.commands.pem import give_pem
from cspd.admin.invocation import Invocation
from cspd.authority.values import CertificateState, RevocationReason

_COLUMNS = ("ca", "serial", "state", "subject", "names", "profile", "not_after")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_CA = click.argument("ca", metavar="ORG~CA")
_SERIAL = click.argument("serial")


@click.group()
def cert() -> None:
    """Issue, look up and revoke certificates. SERIAL is hexadecimal, as openssl prints it."""


@cert.command()
@_CA
@click.argument("csr", type=click.File("r", encoding="ascii", errors="replace"))
@click.option("--profile", required=True, help="What kind of certificate.")
@click.option("--not-after", type=click.DateTime(), help="When it expires (UTC). [as the profile says]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.pass_obj
def issue(
    invocation: Invocation, ca: str, csr: TextIO, profile: str, not_after: datetime | None, out: Path | None
) -> None:
    """Certify a request (PEM).

    CSR is a file, or - for standard input. Gives the certificate and its issuers. Names are taken as requested: you
    answer for them. This is how a server gets its first TLS certificate.
    """
    until = None if not_after is None else not_after.replace(tzinfo=UTC).isoformat()
    given = {"ca": ca, "profile": profile, "csr_pem": csr.read(), "not_after": until}
    give_pem(invocation, invocation.run("certificate-issue", doing="signing", **given), out)


@cert.command("list")
@click.argument("ca", metavar="[ORG~CA]", required=False)
@click.option("--state", type=click.Choice([state.value for state in CertificateState]))
@click.option("--profile", help="Issued by this profile.")
@click.option("--text", help="Part of the subject or of a name.")
@click.option("--expires-before", type=click.DateTime(), metavar="TIME", help="2030-12-31 or 2030-12-31T12:00:00, UTC.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many a page.")
@click.option("--after", help="Where the page before ended.")
@click.pass_obj
def list_certificates(invocation: Invocation, /, expires_before: datetime | None, **options: Any) -> None:
    """List certificates, the latest first."""
    until = None if expires_before is None else expires_before.replace(tzinfo=UTC).isoformat()
    page = invocation.run("certificate-list", expires_before=until, **options)
    if invocation.as_json:
        invocation.output.record(page)
        return
    invocation.output.rows(page["certificates"], _COLUMNS, empty="no certificates")
    if page["next"]:
        click.echo(f"more with --after {page['next']}", err=True)


@cert.command()
@_CA
@_SERIAL
@click.pass_obj
def show(invocation: Invocation, ca: str, serial: str) -> None:
    """Show one certificate."""
    invocation.output.record(invocation.run("certificate-show", ca=ca, serial=serial))


@cert.command()
@_CA
@_SERIAL
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in RevocationReason]),
    default=RevocationReason.UNSPECIFIED.value,
    show_default=True,
)
@click.option(
    "--invalidity-date", type=click.DateTime(), metavar="TIME", help="Since when the key may be compromised (UTC)."
)
@_YES
@click.pass_obj
def revoke(
    invocation: Invocation, ca: str, serial: str, reason: str, invalidity_date: datetime | None, yes: bool
) -> None:
    """Revoke a certificate for good."""
    invocation.confirm(f"Revoke {serial} of {ca}? This cannot be undone.", yes=yes)
    since = None if invalidity_date is None else invalidity_date.replace(tzinfo=UTC).isoformat()
    _show(
        invocation,
        invocation.run("certificate-revoke", ca=ca, serial=serial, reason=reason, invalidity_date=since),
    )


@cert.command()
@_CA
@_SERIAL
@click.pass_obj
def hold(invocation: Invocation, ca: str, serial: str) -> None:
    """Put a certificate on hold; `unhold` takes it back."""
    _show(invocation, invocation.run("certificate-hold", ca=ca, serial=serial))


@cert.command()
@_CA
@_SERIAL
@click.pass_obj
def unhold(invocation: Invocation, ca: str, serial: str) -> None:
    """Take a certificate off hold."""
    _show(invocation, invocation.run("certificate-unhold", ca=ca, serial=serial))


def _show(invocation: Invocation, certificate: dict[str, Any]) -> None:
    state, reason = certificate["state"], certificate["reason"]
    sentence = f"{certificate['ca']} {certificate['serial']} is {state}" + (f" ({reason})" if reason else "")
    invocation.output.text(sentence + ".", **certificate)
