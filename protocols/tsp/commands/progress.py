"""The lines of a command that takes its time: ``Starting PKCS #11 Manager... Done``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cspd.admin.invocation import Invocation


@contextmanager
def stage(invocation: Invocation, doing: str) -> Iterator[None]:
    """Say what is done, and that it is done; with ``--json`` nothing, and after a failure ``Failed``."""
    if invocation.as_json:
        yield
        return
    click.echo(f"{doing}... ", nl=False)
    try:
        yield
    except BaseException:
        click.echo("Failed")
        raise
    click.echo("Done")
