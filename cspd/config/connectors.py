"""The connectors to other systems: their declarations, and the code these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

from twisted.plugin import getPlugins

from cspd.config.values import Section
from cspd.plugin import ConnectorDeclaration, IConnectorDeclaration
from cspd.refusals import NotFound, Unavailable


def find_connector(kind: str, name: str, package: ModuleType | None = None) -> Callable[..., Any]:
    """The factory of the connector of that kind and name in the ``plugins`` package.

    Raises NotFound, with the names that there are, and Unavailable for one whose code does not import.
    """
    declaration = _declaration(kind, name, package)
    factory: Callable[..., Any] = _load(declaration, declaration.factory)
    return factory


def find_settings_model(kind: str, name: str, package: ModuleType | None = None) -> type[Section] | None:
    """The model of the connector's ``settings``; None if it declares none. Raises as :func:`find_connector`."""
    declaration = _declaration(kind, name, package)
    if not declaration.configuration:
        return None
    model: type[Section] = _load(declaration, declaration.configuration)
    return model


def _declaration(kind: str, name: str, package: ModuleType | None) -> ConnectorDeclaration:
    package = package or import_module("plugins")  # by name: cspd does not depend on its plugins
    found: Iterable[ConnectorDeclaration] = getPlugins(IConnectorDeclaration, package)
    connectors = {each.name: each for each in found if each.kind == kind}
    declaration = connectors.get(name)
    if declaration is None:
        names = ", ".join(sorted(connectors)) or "none"
        raise NotFound(f'there is no {kind} "{name}"; there is: {names}')
    return declaration


def _load(declaration: ConnectorDeclaration, path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except Exception as error:
        raise Unavailable(f"the {declaration.kind} {declaration.name} cannot be loaded from {path}: {error}") from error
