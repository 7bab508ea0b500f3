"""The commands of cspctl, one module for each group."""

from __future__ import annotations

import click

from cspd.admin.commands.config import config
from cspd.admin.commands.init import init
from cspd.admin.commands.secret import secret
from cspd.admin.commands.version import version

COMMANDS: tuple[click.Command, ...] = (config, init, secret, version)
"""In the order of ``cspctl --help``, which sorts them."""
