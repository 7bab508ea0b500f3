"""Every run of a command leaves a line in ``tsactl.log`` of the state folder and an audit event (R-TSA-090, R-TSA-091).

The line is a JSON object: who ran what, with which options, and the exit status; never a PIN. It is written also when
the run was refused, failed, was interrupted, or the options were wrong; of wrong options it holds nothing but the
command, for a PIN may be among them.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import click

from cspd.admin.invocation import Invocation
from cspd.clock import Clock, SystemClock

LOG = "tsactl.log"
"""In the state folder."""
SECRETS = frozenset({"pin"})
"""Parameters whose values are nobody's business."""
_WRONG_USAGE = 2
_INTERRUPTED = 130


class RecordedCommand(click.Command):
    """A command whose runs are recorded."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options; wrong ones are recorded too."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError:
            if parent is not None and isinstance(parent.obj, Invocation):
                _record(parent.obj, _path(parent, info_name), {}, _WRONG_USAGE)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and record how it ended."""
        status = 1
        try:
            result = super().invoke(ctx)
            status = 0
            return result
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
            raise
        except click.exceptions.Exit as ended:
            status = ended.exit_code
            raise
        except click.ClickException as refused:
            status = refused.exit_code
            raise
        except (click.Abort, KeyboardInterrupt):
            status = _INTERRUPTED
            raise
        finally:
            if isinstance(ctx.obj, Invocation):
                command = _path(ctx.parent, ctx.info_name) if ctx.parent else str(ctx.info_name)
                _record(ctx.obj, command, loggable(ctx.params), status)


def loggable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as JSON values, without secrets."""
    return {
        name: "***" if name in SECRETS else value if isinstance(value, bool | int) else str(value)
        for name, value in parameters.items()
        if value is not None and value is not False
    }


def append_line(state: Path, entry: Mapping[str, Any]) -> None:
    """Append one line to the log of a state folder, whose owner the file belongs to; raises OSError."""
    # The folder's owner could put a link there for root to follow.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(state / LOG, flags, 0o600)
    try:
        give_to_owner(descriptor, state)
        os.write(descriptor, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Let a file that root has opened belong to the owner of the folder it is in."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _record(
    invocation: Invocation, command: str, arguments: Mapping[str, Any], status: int, clock: Clock | None = None
) -> None:
    now = (clock or SystemClock()).now().astimezone(UTC)
    entry = {
        "time": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "user": _user(),
        "process": os.getpid(),
        "command": command,
        "arguments": dict(arguments),
        "exit_status": status,
    }
    problems = []
    state = invocation.state_folder()
    if state is None:
        problems.append("there is no state folder")
    else:
        try:
            append_line(state, entry)
        except OSError as error:
            problems.append(f"{state / LOG}: {error.strerror}")
    if unaudited := invocation.record(f"tsa {command}", arguments, status):
        problems.append(f"no audit event: {unaudited}")
    for problem in problems:
        click.echo(f"warning: this run is not recorded: {problem}", err=True)


def _path(parent: click.Context, name: str | None) -> str:
    """``check clock``: the command within ``cspctl tsa``."""
    names = [name or ""]
    context: click.Context | None = parent
    while context is not None and context.parent is not None and context.info_name != "tsa":
        names.append(context.info_name or "")
        context = context.parent
    return " ".join(reversed(names))


def _user() -> str:
    user = pwd.getpwuid(os.getuid()).pw_name
    behind = os.environ.get("SUDO_USER")
    return f"{user} ({behind})" if behind else user
