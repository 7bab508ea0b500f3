"""``import-thales``: the client set-up of a Luna HSM or a DPoD service."""

from __future__ import annotations

from pathlib import Path

import click

from cspd.admin.invocation import Invocation
from cspd.keys.thales_files import import_client, import_package
from protocols.tsp.commands.progress import stage
from protocols.tsp.commands.recorded import RecordedCommand
from protocols.tsp.commands.serving import warn_if_deployed
from protocols.tsp.commands.vendor_files import refusals, vendor_folder

_PATH = click.Path(path_type=Path)


@click.command("import-thales", cls=RecordedCommand)
@click.option("-d", "package", type=_PATH, help="The ZIP package of a DPoD service.")
@click.option("-c", "cert", type=_PATH, help="The cert directory, with client/ and server/.")
@click.option("-k", "chrystoki", type=_PATH, help="The Chrystoki.conf that goes with it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def import_thales(
    invocation: Invocation, package: Path | None, cert: Path | None, chrystoki: Path | None, yes: bool
) -> None:
    """Take the client set-up: either -d, or -c with -k.

    It is active after the next deployment. The daemon finds it in hsm/thales of the state folder: give the token
    environment = { ChrystokiConfigurationPath = "..." }.
    """
    if (package is None) == (cert is None and chrystoki is None):
        raise click.UsageError("give either -d, or -c with -k")
    if package is None and (cert is None or chrystoki is None):
        raise click.UsageError("-c and -k go together")
    invocation.confirm("Replace the Thales configuration?", yes=yes)
    sources = [None if each is None else each.absolute() for each in (package, cert, chrystoki)]
    target = vendor_folder(invocation, "thales")
    with refusals(invocation), stage(invocation, "Saving Thales configuration"):
        match sources:
            case [Path() as zipped, None, None]:
                import_package(zipped, target)
            case [None, Path() as folder, Path() as conf]:
                import_client(folder, conf, target)
    warn_if_deployed(invocation)
    if invocation.as_json:
        invocation.output.value({"folder": str(target)})
