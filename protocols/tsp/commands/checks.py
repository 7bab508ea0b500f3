"""``check clock`` and ``check hsm``: whether the two things work that a token cannot do without."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation
from cspd.admin.output import printable
from cspd.keys.config import Vendor
from protocols.tsp.commands.doors import open_door
from protocols.tsp.commands.keys import token_options
from protocols.tsp.commands.progress import stage
from protocols.tsp.commands.recorded import RecordedCommand

_ATTRIBUTES = (
    ("Slot Id", "slot"),
    ("Label", "label"),
    ("Serial Number", "serial_number"),
    ("Model", "model"),
    ("Firmware Version", "firmware_version"),
    ("Configuration", "configuration"),
    ("Slot Description", "description"),
    ("FM HW Status", "fm_hardware_status"),
)
"""As ``check hsm`` prints them, and what they are called in JSON."""


@click.group()
def check() -> None:
    """Check the clock and the HSM."""


@check.command(cls=RecordedCommand)
@click.option(
    "-l",
    "level",
    type=click.IntRange(0, 255),
    default=0,
    show_default=True,
    help="CKNFAST_DEBUG of an nShield module; other vendors ignore it.",
)
@token_options
@click.pass_obj
def hsm(invocation: Invocation, level: int, pin: str | None, token: str | None, vendor: str | None) -> None:
    """Log in on the token, and show the slots of its module."""
    with stage(invocation, "Obtaining loaded secrets and configuration"):
        debug = {"CKNFAST_DEBUG": str(level)} if level and _is_nshield(invocation, vendor) else None
    door = open_door(invocation, label=token, vendor=vendor, pin=pin, environment=debug)
    with stage(invocation, "Starting PKCS #11 Manager"):
        slots = door.run("key-slots")
    for each in slots if not invocation.as_json else ():
        for title, name in _ATTRIBUTES:
            click.echo(f"{title} -> {printable(str(each[name]))}")
        click.echo()
    current = [each["slot"] for each in slots if each["is_current"]]
    if not invocation.as_json:
        click.echo(f"Current Slot Id: {current[0] if current else 'none'}")
    with stage(invocation, "Passing HSM checks"):
        door.run("key-objects")  # which needs a login, and is read from the token
    if invocation.as_json:
        invocation.output.value({"slots": slots, "current_slot": current[0] if current else None})


@check.command(cls=RecordedCommand)
@click.pass_obj
def clock(invocation: Invocation) -> None:
    """Ask the time source, and compare."""
    with stage(invocation, "Starting Pod"):
        invocation.state_folder()
    with stage(invocation, "Checking clock status"):
        verdict = invocation.run_in_daemon("tsa-check-clock")
    if invocation.as_json:
        invocation.output.value(verdict)


def _is_nshield(invocation: Invocation, vendor: str | None) -> bool:
    if vendor is not None:
        return vendor == Vendor.NSHIELD.value
    configuration = invocation.loaded_configuration()
    return configuration is not None and any(
        token.vendor is Vendor.NSHIELD for token in configuration.root.keys.pkcs11.values()
    )
