"""``cspctl``: administers cspd, on its folder or through its socket.

Each command, or group of commands, is a module of :mod:`cspd.admin.commands`, or comes with a protocol
(:mod:`cspd.admin.commands.of_protocols`). ``--config`` and ``--json`` may stand before or behind the command.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cspd.admin.commands import COMMANDS
from cspd.admin.commands.of_protocols import declared_commands
from cspd.admin.invocation import Invocation

DEFAULT_CONFIG = Path("/etc/cspd/cspd.toml")


def _take_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.obj = replace(_invocation(context), config=value)


def _take_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.obj = replace(_invocation(context), as_json=True)


def _invocation(context: click.Context) -> Invocation:
    if context.obj is None:
        context.obj = Invocation(DEFAULT_CONFIG, as_json=False)
    invocation: Invocation = context.obj
    return invocation


def _shared_options() -> list[click.Parameter]:
    shared: dict[str, Any] = {"expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["--config"],
            type=click.Path(dir_okay=False, path_type=Path),
            callback=_take_config,
            help=f"The configuration file of the daemon; {DEFAULT_CONFIG} if not given.",
            envvar="CSPCTL_CONFIG",
            **shared,
        ),
        click.Option(["--json"], is_flag=True, callback=_take_json, help="Answer with JSON, for scripts.", **shared),
    ]


def _share_options(command: click.Command) -> click.Command:
    """Give a command and those within it the shared options, once."""
    if any(param.callback is _take_config for param in command.params):
        return command
    command.params.extend(_shared_options())
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _share_options(inner)
    return command


class _Cspctl(click.Group):
    """Our own commands and those of protocols; a protocol cannot take one of our names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *declared_commands(_share_options)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) or declared_commands(_share_options).get(cmd_name)


_EPILOG = """\
Exit status: 0 done; 1 refused or failed, the reason is on standard error, with --json an object with "error" and
"reason" on standard output; 2 wrong usage.
"""


@click.group(cls=_Cspctl, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.pass_context
def main(context: click.Context) -> None:
    """Administer cspd, the public-key-infrastructure server.

    Asks the running daemon through its socket; while none runs, works on the store itself. Root and the user of the
    daemon may do so.
    """
    _invocation(context)


for _command in COMMANDS:
    main.add_command(_command)
_share_options(main)


if __name__ == "__main__":
    main()
