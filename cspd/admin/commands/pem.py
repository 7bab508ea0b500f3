"""How commands give PEM: to a file, to a terminal, in JSON, or one by one to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.admin.invocation import Invocation


def give_pem(invocation: Invocation, answer: dict[str, Any], out: Path | None) -> None:
    """Write ``answer["pem"]`` to ``out``, or show it; ends the command when the file cannot be written."""
    if out is not None:
        try:
            out.write_text(answer["pem"])
        except OSError as error:
            invocation.fail(f"{out} cannot be written: {error.strerror}", code="not-written")
        invocation.output.text(f"{out} is written.", file=str(out))
    elif invocation.as_json:
        invocation.output.record(answer)
    else:
        click.echo(answer["pem"], nl=False)


def give_certificates(invocation: Invocation, answer: dict[str, Any], folder: Path) -> None:
    """Write ``answer["pem"]`` to chain.pem, and each of its certificates as N.pem and N.cer (DER), counted from 1.

    Products that take one certificate at a time are given these (R-CEGI-010). Ends the command when a file cannot be
    written.
    """
    contents = {"chain.pem": answer["pem"].encode("ascii")}
    for number, certificate in enumerate(x509.load_pem_x509_certificates(contents["chain.pem"]), start=1):
        contents[f"{number}.pem"] = certificate.public_bytes(Encoding.PEM)
        contents[f"{number}.cer"] = certificate.public_bytes(Encoding.DER)
    for name, content in contents.items():
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            invocation.fail(f"{folder / name} cannot be written: {error.strerror}", code="not-written")
    files = [str(folder / name) for name in contents]
    invocation.output.text(f"{', '.join(contents)} are written to {folder}.", files=files)
