"""The commands of cspctl, one module for each group."""

from __future__ import annotations

import click

from cspd.admin.commands.audit import audit
from cspd.admin.commands.ca import ca
from cspd.admin.commands.cert import cert
from cspd.admin.commands.config import config
from cspd.admin.commands.enrollment_secret import enrollment_secret
from cspd.admin.commands.init import init
from cspd.admin.commands.key import key
from cspd.admin.commands.org import org
from cspd.admin.commands.profile import profile
from cspd.admin.commands.request import request
from cspd.admin.commands.secret import secret
from cspd.admin.commands.status import reload, status
from cspd.admin.commands.version import version

COMMANDS: tuple[click.Command, ...] = (
    audit,
    ca,
    cert,
    config,
    enrollment_secret,
    init,
    key,
    org,
    profile,
    reload,
    request,
    secret,
    status,
    version,
)
"""In the order of ``cspctl --help``, which sorts them."""
