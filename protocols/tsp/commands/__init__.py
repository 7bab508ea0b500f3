"""``cspctl tsa``: the commands of the timestamping authority."""

from __future__ import annotations

import click

from protocols.tsp.commands.checks import check
from protocols.tsp.commands.evidence import verify
from protocols.tsp.commands.keys import create_csr, create_key, delete_key, list_keys
from protocols.tsp.commands.log import log
from protocols.tsp.commands.nshield import export_nshield, import_nshield
from protocols.tsp.commands.serving import deploy, list_issuers, stop
from protocols.tsp.commands.thales import import_thales


@click.group()
def tsa() -> None:
    """Keys, checks and service of the timestamping authority."""


for _command in (
    check,
    create_csr,
    create_key,
    delete_key,
    deploy,
    export_nshield,
    import_nshield,
    import_thales,
    list_issuers,
    list_keys,
    log,
    stop,
    verify,
):
    tsa.add_command(_command)
