"""What the daemon says once it serves: where clients go, and how to try it (R-CEG-017)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from cspd.plugin import EnrollmentURL

_log = Logger()


def announce(addresses: Mapping[str, IAddress], urls: Iterable[EnrollmentURL]) -> None:
    """Log each listener and each enrollment URL, then that the daemon is ready."""
    for name, address in addresses.items():
        _log.info("listener {listener} accepts connections on {address}", listener=name, address=_written(address))
    for url in urls:
        text = "{what}: {url}\n    {command}" if url.command else "{what}: {url}"
        _log.info(text, event="enrollment-url", what=url.what, url=url.url, command=url.command)
    _log.info("cspd is ready", event="ready")


def _written(address: Any) -> str:
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if port is None:
        return str(getattr(address, "name", address))
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
