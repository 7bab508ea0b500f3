"""How commands give PEM: to a file, to a terminal, or in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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
