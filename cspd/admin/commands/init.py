"""``cspctl init``: makes the folder of an installation."""

from __future__ import annotations

import getpass
import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import click

from cspd.admin.demo import DemoOptions, Token, fill_demo
from cspd.admin.fresh import FreshOptions, fill_fresh
from cspd.admin.installation import FolderRefused, whole_or_nothing
from cspd.admin.invocation import Invocation
from cspd.clock import SystemClock
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
from cspd.refusals import Refused


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="A working two-tier PKI to try out, with settings that production refuses.")
@click.option("--hostname", help="How clients reach the server. [demo: localhost, else: this machine's name]")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Demo: the address to listen on.")
@click.option("--http-port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Demo: for HTTP.")
@click.option("--https-port", default=8443, show_default=True, type=click.IntRange(1, 65535), help="Demo: for HTTPS.")
@click.option("--store", default="sqlite:///store.sqlite", show_default=True, help="The URL of the database.")
@click.option("--pkcs11-module", help="Demo: keep the CAs' keys in a token; the path of its PKCS#11 library.")
@click.option("--pkcs11-token", help="Demo: the token's label.")
@click.option(
    "--pkcs11-pin-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Demo: a file with the token's PIN, which goes into the secret store.",
)
@click.pass_obj
def init(invocation: Invocation, /, folder: Path, demo: bool, **options: Any) -> None:
    """Make FOLDER an installation.

    Writes the configuration and random secrets, and with --demo a whole PKI.

    Refuses a folder that has content; an interrupted run leaves none.
    """
    try:
        with whole_or_nothing(folder) as beside:
            if demo:
                fill_demo(beside, _demo_options(options), user=getpass.getuser())
                load_configuration(beside / "cspd.toml", environment=os.environ, clock=SystemClock())
            else:
                fill_fresh(
                    beside, FreshOptions(hostname=options["hostname"] or _hostname(), store_url=options["store"])
                )
    except (FolderRefused, Refused, ValueError, OSError) as error:
        invocation.fail(str(error), code="init-refused")
    except ConfigurationRefused as refused:
        invocation.refuse(refused.problems, refused.warnings)
    config = folder / "cspd.toml"
    next_step = (
        f"twistd --nodaemon --pidfile= cspd --config {config}" if demo else f"cspctl config check --config {config}"
    )
    invocation.show(
        {"folder": str(folder), "config": str(config), "mode": "demo" if demo else "prod"},
        f"{folder} is ready. Next: {next_step}",
    )


def _demo_options(options: dict[str, Any]) -> DemoOptions:
    token = (options["pkcs11_module"], options["pkcs11_token"], options["pkcs11_pin_file"])
    if any(token) and not all(token):
        raise click.UsageError("--pkcs11-module, --pkcs11-token and --pkcs11-pin-file go together")
    try:
        ipaddress.ip_address(options["bind"])
    except ValueError:
        raise click.UsageError("--bind: an IP address") from None
    return DemoOptions(
        bind=options["bind"],
        hostname=options["hostname"] or "localhost",
        http_port=options["http_port"],
        https_port=options["https_port"],
        store_url=options["store"],
        token=Token(module=token[0], label=token[1], pin=token[2].read_text().rstrip("\r\n")) if token[2] else None,
    )


def _hostname() -> str:
    return socket.getfqdn().lower()
