"""``verify``: whether a token, of any maker, is evidence of some data at some time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from cryptography import x509

from cspd.admin import views
from cspd.admin.invocation import Invocation
from cspd.admin.output import printable
from cspd.x509.names import format_name
from protocols.tsp import codec
from protocols.tsp.codec import RequestError
from protocols.tsp.commands.recorded import RecordedCommand
from protocols.tsp.evidence import Expectation, Report
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.verification import verify as verify_token

MAX_TOKEN_BYTES = 1 << 20
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=RecordedCommand)
@click.option("--token", required=True, type=_FILE, help="A timestamp response or token, DER.")
@click.option("--data", type=_FILE, help="What was timestamped.")
@click.option("--digest", help="Its digest, hexadecimal.")
@click.option("--query", type=_FILE, help="The request: its imprint, nonce and policy have to be the token's.")
@click.option("--ca", required=True, type=_FILE, help="The certificates to trust, PEM.")
@click.option("--certificates", type=_FILE, help="More certificates, PEM, where the token has none.")
@click.option("--allow-sha1", is_flag=True, help="Accept a signature with SHA-1.")
@click.pass_obj
def verify(
    invocation: Invocation,
    token: Path,
    data: Path | None,
    digest: str | None,
    query: Path | None,
    ca: Path,
    certificates: Path | None,
    allow_sha1: bool,
) -> None:
    """Verify a token against data, a digest or a request.

    Exit status 0: it is evidence; 1: it is not, and why. The path to a trusted certificate has to be valid at the time
    of the token; revocation is not looked at.
    """
    if sum(each is not None for each in (data, digest, query)) != 1:
        raise click.UsageError("give one of --data, --digest and --query")
    report = verify_token(
        _read(invocation, token),
        trust_anchors=_certificates(invocation, ca),
        certificates=() if certificates is None else _certificates(invocation, certificates),
        expectation=_expectation(invocation, data, digest, query),
        allow_sha1=allow_sha1,
    )
    facts = _facts(report)
    if invocation.as_json:
        invocation.output.value(facts)
    else:
        for name, value in facts.items():
            if name not in ("valid", "findings") and value not in (None, ""):
                click.echo(f"{name.replace('_', ' ')}: {printable(str(value))}")
        for each in facts["findings"]:
            click.echo(printable(f"{each['flaw']}: {each['detail']}"), err=True)
        click.echo(f"Verification: {'OK' if report.is_valid else 'FAILED'}")
    if not report.is_valid:
        sys.exit(1)


def _expectation(invocation: Invocation, data: Path | None, digest: str | None, query: Path | None) -> Expectation:
    if data is not None:
        content = data.read_bytes()
        return Expectation(digest_of=lambda algorithm: digest_function(algorithm)(content))
    if digest is not None:
        try:
            return Expectation(hashed_message=bytes.fromhex(digest))
        except ValueError:
            raise click.UsageError("--digest: hexadecimal digits") from None
    assert query is not None
    try:
        request = codec.decode_request(_read(invocation, query))
    except RequestError as error:
        invocation.fail(f"{query} is no request: {error}", code="malformed")
    return Expectation(request=request)


def _facts(report: Report) -> dict[str, Any]:
    info, signer = report.tst_info, report.signer
    return {
        "valid": report.is_valid,
        "time": None if info is None else info.gen_time.isoformat().replace("+00:00", "Z"),
        "serial_number": None if info is None else f"{info.serial_number:x}",
        "policy": None if info is None else info.policy,
        "hash_algorithm": None if report.hash_algorithm is None else report.hash_algorithm.value,
        "signer": None if signer is None else format_name(signer.subject),
        "signer_not_after": None if signer is None else views.moment(signer.not_valid_after_utc),
        "qualified": report.is_qualified,
        "token_sha256": None if report.token_sha256 is None else report.token_sha256.hex(),
        "findings": [{"flaw": each.flaw.value, "detail": each.detail} for each in report.findings],
    }


def _read(invocation: Invocation, file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_TOKEN_BYTES + 1)
    if len(content) > MAX_TOKEN_BYTES:
        invocation.fail(f"{file} is larger than {MAX_TOKEN_BYTES} bytes", code="malformed")
    return content


def _certificates(invocation: Invocation, file: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(invocation, file))
    except ValueError:
        invocation.fail(f"{file} has no certificates in PEM", code="malformed")
