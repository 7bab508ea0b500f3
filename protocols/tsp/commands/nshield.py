"""``import-nshield`` and ``export-nshield``: the Security World of an nShield HSM."""

from __future__ import annotations

from pathlib import Path

import click

from cspd.admin.invocation import Invocation
from cspd.keys.nshield_files import export_kmdata, import_kmdata
from protocols.tsp.commands.progress import stage
from protocols.tsp.commands.recorded import RecordedCommand
from protocols.tsp.commands.serving import warn_if_deployed
from protocols.tsp.commands.vendor_files import refusals, vendor_folder


@click.command("import-nshield", cls=RecordedCommand)
@click.option("-f", "kmdata", required=True, type=click.Path(path_type=Path), help="A folder or a tar.gz.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def import_nshield(invocation: Invocation, kmdata: Path, yes: bool) -> None:
    """Take an nShield Security World.

    It is a kmdata folder, or what export-nshield made, and active after the next deployment. The daemon finds it in
    hsm/nshield of the state folder: give the token environment = { NFAST_KMDATA = "..." }.
    """
    invocation.confirm(f"Replace the Security World by {kmdata}?", yes=yes)
    source = kmdata.absolute()
    target = vendor_folder(invocation, "nshield")
    with refusals(invocation), stage(invocation, "Saving nShield configuration"):
        import_kmdata(source, target)
    warn_if_deployed(invocation)
    if invocation.as_json:
        invocation.output.value({"folder": str(target)})


@click.command("export-nshield", cls=RecordedCommand)
@click.option("-o", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where to.")
@click.option("-t", "packed", is_flag=True, help="Make kmdata.tar.gz there instead of a folder.")
@click.pass_obj
def export_nshield(invocation: Invocation, folder: Path, packed: bool) -> None:
    """Copy the Security World, for import here or elsewhere."""
    state = invocation.state_folder()
    if state is None:
        invocation.fail("there is no state folder: name the installation with --config", code="no-state")
    with refusals(invocation), stage(invocation, "Exporting nShield configuration"):
        made = export_kmdata(state / "hsm" / "nshield", folder, packed=packed)
    if invocation.as_json:
        invocation.output.value({"path": str(made)})
