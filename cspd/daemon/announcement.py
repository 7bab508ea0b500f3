"""What the daemon says once it serves: where clients go, and how to try it (R-CEG-017)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from cspd.authority.values import Authority, AuthorityKind, AuthorityState
from cspd.plugin import EnrollmentURL

_log = Logger()
_CA = "{ca}"


def expand(urls: Iterable[EnrollmentURL], authorities: Sequence[Authority]) -> Iterator[EnrollmentURL]:
    """The URLs with ``{ca}`` replaced by every CA that may issue by their profile."""
    for each in urls:
        if _CA not in each.url:
            yield each
            continue
        for authority in authorities:
            if authority.kind is not AuthorityKind.ISSUING or authority.state is not AuthorityState.ACTIVE:
                continue
            if each.profile and each.profile not in authority.profiles:
                continue
            name = str(authority.reference)
            yield replace(
                each,
                what=each.what.replace(_CA, name),
                url=each.url.replace(_CA, name),
                command=each.command.replace(_CA, name),
            )


def announce(addresses: Mapping[str, Any], urls: Iterable[EnrollmentURL]) -> None:
    """Log each listener and each enrollment URL, then that the daemon is ready."""
    for name, address in addresses.items():
        _log.info("listener {listener} accepts connections on {address}", listener=name, address=written(address))
    for url in urls:
        text = "{what}: {url}\n    {command}" if url.command else "{what}: {url}"
        _log.info(text, event="enrollment-url", what=url.what, url=url.url, command=url.command)
    _log.info("cspd is ready", event="ready")


def written(address: Any) -> str:
    """An address as people write it."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if port is None:
        name = getattr(address, "name", address)
        return name.decode() if isinstance(name, bytes) else str(name)
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
