"""Builds the key service that conf asks for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from cspd.clock import Clock
from cspd.config.values import SecretReference
from cspd.keys.config import KeysConfig
from cspd.keys.deployment import Deployment
from cspd.keys.encryption import MasterKey
from cspd.keys.pkcs11.modules import Modules
from cspd.keys.pkcs11.provider import TokenKeys
from cspd.keys.pkcs11.tokens import Token, TokenSettings
from cspd.keys.providers import Provider
from cspd.keys.service import KeyService
from cspd.keys.software import SoftwareKeys
from cspd.keys.threads import InlinePool, SigningPool, ThreadPool
from cspd.keys.turns import TurnPool
from cspd.store.interfaces import Database
from cspd.turns import EndOfTurn


def open_keys(
    configuration: KeysConfig,
    *,
    database: Database,
    clock: Clock,
    secret: Callable[[SecretReference], bytes],
    modules: Modules,
    call_from_thread: Callable[[Callable[[], Any]], Any] | None,
    end_of_turn: EndOfTurn | None = None,
) -> KeyService:
    """The key service of ``[keys]``; call its ``start`` before use. Does no I/O but reading the master key.

    ``secret`` reads a secret and raises ValueError, saying why, if it cannot. ``modules`` is the one of the process.
    ``call_from_thread`` is the reactor's; with None, for programs without a reactor, all work is done at once.
    ``end_of_turn`` is the reactor's, too; with None, signatures of fast keys are not put off.
    Raises :class:`cspd.keys.encryption.WeakMasterSecret`, and what ``secret`` raises.
    """

    def pool(name: str, size: int) -> SigningPool:
        if call_from_thread is None:
            return InlinePool()
        return ThreadPool(f"keys-{name}", size, call_from_thread=call_from_thread)

    providers: list[Provider] = []
    if configuration.software is not None:
        software = SoftwareKeys(
            database=database,
            clock=clock,
            pool=pool("software", configuration.software.threads or len(os.sched_getaffinity(0))),
            fast_pool=InlinePool() if call_from_thread is None or end_of_turn is None else TurnPool(end_of_turn),
            master_key=MasterKey(secret(configuration.software.master_key), secrets.token_bytes),
            random_bytes=secrets.token_bytes,
        )
        providers.append(software)
    environment = configuration.environment()
    for name, section in configuration.pkcs11.items():
        settings = TokenSettings(
            name=name,
            module=section.module,
            label=section.token_label,
            pin=partial(secret, section.pin),
            sessions=section.sessions,
            environment=environment,
        )
        token = Token(settings, modules, monotonic=monotonic)
        providers.append(TokenKeys(token, pool(name, section.sessions), random_bytes=secrets.token_bytes))
    return KeyService(
        providers=providers,
        default=configuration.default,
        monotonic=monotonic,
        deployment=Deployment(configuration, database=database, clock=clock),
    )


__all__ = ["open_keys"]
