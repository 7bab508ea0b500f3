"""The connector, built as the daemon builds it, for one test."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from plugins.active_directory.assembly import build_directory
from plugins.active_directory.directory import ActiveDirectory
from tests.support.reactors import run_in_reactor
from tests.support.samba_ad import PASSWORD, TRUSTSTORE_PASSWORD

T = TypeVar("T")
SECRETS = {"LDAP_PASSWORD": PASSWORD.encode(), "TRUSTSTORE": TRUSTSTORE_PASSWORD, "WRONG": b"wrong"}


def ask(settings: dict[str, Any], question: Callable[[ActiveDirectory], Coroutine[Any, Any, T]]) -> T:
    """What the directory answers; its threads and connections end with the question."""

    async def asking(reactor: Any) -> T:
        directory = build_directory(
            "windows",
            settings,
            reactor=reactor,
            secret=lambda reference: SECRETS[str(reference.env)],
            folder=Path(),
        )
        try:
            return await question(directory)
        finally:
            directory.stop()

    return run_in_reactor(asking)
