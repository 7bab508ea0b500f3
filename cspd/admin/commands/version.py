"""``cspctl version`` (R-PLAT-010)."""

from __future__ import annotations

import os

import click

import cspd
from cspd.admin.invocation import Invocation
from cspd.clock import SystemClock
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused


@click.command()
@click.pass_obj
def version(invocation: Invocation) -> None:
    """Show the release and the mode."""
    mode = _mode(invocation)
    invocation.show({"version": cspd.__version__, "mode": mode}, f"cspd {cspd.__version__}, {mode}")


def _mode(invocation: Invocation) -> str:
    if not invocation.config.is_file():
        return "not initialised"
    try:
        configuration = load_configuration(invocation.config, environment=os.environ, clock=SystemClock())
    except ConfigurationRefused:
        return "configuration refused"
    return configuration.root.server.mode if configuration.state.is_dir() else "not initialised"
