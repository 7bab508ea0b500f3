"""Twisted plugin drop-ins: declarations of protocols, and connectors to other people's systems.

A declaration imports nothing heavy (see :mod:`cspd.plugin`). Drop-ins of other distributions go into a ``plugins``
folder on ``sys.path`` without an ``__init__.py``.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))  # type: ignore[no-untyped-call]  # Twisted has no types here
__all__: list[str] = []
