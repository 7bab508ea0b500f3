"""``cspctl scep``: registration authorities of CAs."""

from __future__ import annotations

import click

from protocols.scep.ra_commands import ra


@click.group("scep")
def scep() -> None:
    """Registration authorities of the Simple Certificate Enrolment Protocol."""


scep.add_command(ra)
