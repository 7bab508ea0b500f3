"""A protocol of the tests: a ``plugins`` package and the code that its declaration names, in a folder of the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType

_DECLARATION = """\
from cspd.plugin import ProtocolDeclaration

greeting = ProtocolDeclaration(
    name="greeting",
    summary="Greets people",
    configuration="greeting_protocol:GreetingConfig",
    factory="greeting_protocol:build",
    plain_http=True,
    commands="greeting_commands:greet",
    command_name="greet",
)
"""
_PROTOCOL = """\
from cspd.admin.operations.values import Arguments, NoArguments, Operation
from cspd.config.values import Section
from cspd.plugin import ProtocolService
from cspd.refusals import Unavailable


class GreetingConfig(Section):
    word: str = "hello"


class Whom(Arguments):
    name: str


def build(configuration, services):
    if configuration.word == "none":
        raise Unavailable("no word to greet with")

    async def send(arguments, caller):
        return {"said": f"{configuration.word} {arguments.name}"}

    name = "wave-send" if configuration.word == "wave" else "greet-send"
    return ProtocolService(routes=(), operations=(Operation(name=name, arguments=Whom, run=send),))
"""
_COMMANDS = """\
import click


@click.group()
def greet():
    "Greet people, one by one."


@greet.command("send")
@click.argument("name")
@click.pass_obj
def send(invocation, name):
    "Greet NAME."
    answer = invocation.run("greet-send", name=name)
    invocation.output.text(answer["said"], **answer)
"""
_MODULES = ("greeting_plugins.greeting", "greeting_plugins", "greeting_protocol", "greeting_commands")


@contextmanager
def greeting_plugins(folder: Path, *, commands: str = _COMMANDS) -> Iterator[ModuleType]:
    """Give the package that declares ``greeting``, on the path meanwhile; ``cspctl greet`` are its commands."""
    package = folder / "greeting_plugins"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "greeting.py").write_text(_DECLARATION)
    (folder / "greeting_protocol.py").write_text(_PROTOCOL)
    (folder / "greeting_commands.py").write_text(commands)
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        yield import_module("greeting_plugins")
    finally:
        sys.path.remove(str(folder))
        for name in _MODULES:
            sys.modules.pop(name, None)
