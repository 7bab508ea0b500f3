"""The connectors to other systems: their declarations, and the code these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

from twisted.plugin import getPlugins

from cspd.plugin import ConnectorDeclaration, IConnectorDeclaration
from cspd.refusals import NotFound, Unavailable


def find_connector(kind: str, name: str, package: ModuleType | None = None) -> Callable[..., Any]:
    """The factory of the connector of that kind and name in the ``plugins`` package.

    Raises NotFound, with the names that there are, and Unavailable for one whose code does not import.
    """
    package = package or import_module("plugins")  # by name: cspd does not depend on its plugins
    found: Iterable[ConnectorDeclaration] = getPlugins(IConnectorDeclaration, package)
    connectors = {each.name: each for each in found if each.kind == kind}
    declaration = connectors.get(name)
    if declaration is None:
        names = ", ".join(sorted(connectors)) or "none"
        raise NotFound(f'there is no {kind} "{name}"; there is: {names}')
    module_name, _, attribute = declaration.factory.partition(":")
    try:
        factory: Callable[..., Any] = getattr(import_module(module_name), attribute)
    except Exception as error:
        raise Unavailable(f"the {kind} {name} cannot be loaded from {declaration.factory}: {error}") from error
    return factory
