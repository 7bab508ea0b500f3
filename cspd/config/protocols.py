"""The protocols that conf can switch on: their declarations, and the code these name."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from twisted.plugin import getPlugins

from cspd.plugin import IProtocolDeclaration, ProtocolDeclaration

NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
"""A protocol's name becomes a section of conf and a word in listeners, logs and job names."""


class ProtocolUnavailable(Exception):
    """Code that a declaration stands for cannot be used; the text says which and why."""


def find_declarations(package: ModuleType | None = None) -> Mapping[str, ProtocolDeclaration]:
    """All declarations in the ``plugins`` package (of ours and of other distributions), by name.

    A module that does not import is not among them, and Twisted's log has the reason; :func:`why_missing` finds it
    again for a protocol that conf asks for.
    """
    package = package or import_module("plugins")  # by name: cspd does not depend on its plugins
    found: Iterable[Any] = getPlugins(IProtocolDeclaration, package)
    return {declaration.name: declaration for declaration in found if NAME.fullmatch(declaration.name)}


def why_missing(name: str, package: ModuleType | None = None) -> str:
    """Why there is no declaration of that name, a sentence without its full stop."""
    package = package or import_module("plugins")
    if NAME.fullmatch(name):
        module = f"{package.__name__}.{name}"
        try:
            if find_spec(module) is None:
                return f'there is no protocol "{name}"'
            import_module(module)
        except Exception as error:
            return f"its plugin {module} does not import: {_cause(error)}"
        return f"its plugin {module} does not declare it"
    return f'there is no protocol "{name}"'


def load_object(declaration: ProtocolDeclaration, path: str) -> Any:
    """The object that a declaration names as ``module:attribute``; raises :class:`ProtocolUnavailable`."""
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except Exception as error:
        raise ProtocolUnavailable(f'"{declaration.name}" cannot be loaded from {path}: {_cause(error)}') from error


def _cause(error: Exception) -> str:
    place = ""
    if frames := traceback.extract_tb(error.__traceback__):
        place = f" ({frames[-1].filename}:{frames[-1].lineno})"
    return f"{type(error).__name__}: {error}{place}"
