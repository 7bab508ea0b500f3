"""The commands that protocols bring along: named by their declarations, imported when somebody types the name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import click

from cspd.config.protocols import ProtocolUnavailable, find_declarations, load_object
from cspd.plugin import ProtocolDeclaration


class DeclaredCommand(click.Command):
    """Stands for a protocol's group of commands; its own help text is the declaration's summary."""

    def __init__(self, declaration: ProtocolDeclaration, prepare: Callable[[click.Command], click.Command]) -> None:
        """``prepare`` is given the group before its first use."""
        super().__init__(declaration.typed_name, short_help=declaration.summary)
        self._declaration = declaration
        self._prepare = prepare
        self._group: click.Command | None = None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the real group, with which click goes on."""
        if self._group is None:
            self._group = self._prepare(self._load())
        return self._group.make_context(info_name, args, parent, **extra)

    def _load(self) -> click.Command:
        try:
            group = load_object(self._declaration, self._declaration.commands)
        except ProtocolUnavailable as error:
            raise click.ClickException(str(error)) from error
        if not isinstance(group, click.Command):
            raise click.ClickException(f"{self._declaration.commands} is no command")
        return group


def declared_commands(
    prepare: Callable[[click.Command], click.Command], package: ModuleType | None = None
) -> Mapping[str, click.Command]:
    """A command for each declaration that names one, by what is typed; see :func:`find_declarations`."""
    declarations = find_declarations(package).values()
    return {each.typed_name: DeclaredCommand(each, prepare) for each in declarations if each.commands}
