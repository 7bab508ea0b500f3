"""How a command reaches the keys: through the daemon's operations, or by opening the token in its own process.

A token of the configuration, with its stored PIN, is the daemon's business (or that of the same operations without a
daemon). With a PIN that somebody typed, with a token that is not configured, or with a setting of the vendor's module
for this run alone, the command opens a session of its own beside the daemon's, and the PIN goes nowhere else.
"""

from __future__ import annotations

import getpass
import os
import secrets
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

import click

from cspd.admin.invocation import Invocation
from cspd.admin.operations.signing_keys import SigningKeyOperations
from cspd.admin.operations.values import Caller
from cspd.config.configuration import Configuration
from cspd.config.secrets import SecretUnavailable
from cspd.daemon.offline import run
from cspd.keys.administration import KeyAdministration
from cspd.keys.config import Vendor
from cspd.keys.pkcs11.modules import Modules
from cspd.keys.pkcs11.provider import TokenKeys
from cspd.keys.pkcs11.tokens import Token, TokenSettings
from cspd.keys.service import KeyService
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyReference
from cspd.refusals import Refused
from protocols.tsp.commands.choice import UNCONFIGURED, Chosen, NoChoice, choose


class KeyDoor(Protocol):
    """Runs the operations of :mod:`cspd.admin.operations.signing_keys` on the chosen keys."""

    label: str

    def run(self, operation: str, **arguments: Any) -> Any:
        """The JSON result; ends the command when it is refused."""
        ...


class ServiceDoor:
    """Through the daemon, or the same operations without one."""

    def __init__(self, invocation: Invocation, chosen: Chosen) -> None:
        self.label = chosen.label
        self._invocation = invocation
        self._provider = chosen.provider

    def run(self, operation: str, **arguments: Any) -> Any:
        """See :class:`KeyDoor`."""
        return self._invocation.run(operation, provider=self._provider, **arguments)


class TokenDoor:
    """In this process, on a session of its own."""

    def __init__(self, invocation: Invocation, chosen: Chosen, pin: bytes, environment: Mapping[str, str]) -> None:
        assert chosen.module is not None
        self.label = chosen.label
        self._invocation = invocation
        self._provider = chosen.provider
        settings = TokenSettings(
            name=chosen.provider,
            module=chosen.module,
            label=chosen.label,
            pin=lambda: pin,
            sessions=1,
            environment={**chosen.environment, **environment},
        )
        provider = TokenKeys(
            Token(settings, Modules(), monotonic=monotonic), InlinePool(), random_bytes=secrets.token_bytes
        )
        self._keys = KeyService(providers=[provider], default=chosen.provider, monotonic=monotonic)
        operations = SigningKeyOperations(KeyAdministration(self._keys, self._keys.inspection), self._owners)
        self._operations = {each.name: each for each in operations.operations()}

    def run(self, operation: str, **arguments: Any) -> Any:
        """See :class:`KeyDoor`."""
        found = self._operations[operation]
        given = {name: value for name, value in arguments.items() if value is not None}
        caller = Caller(user=getpass.getuser())
        try:
            checked = found.arguments.model_validate({"provider": self._provider, **given})
            return run(self._run(found.run(checked, caller)))
        except Refused as refused:
            self._invocation.fail(refused.reason, code=refused.refusal_code)
        except ValueError as error:  # an argument that the operation does not take
            self._invocation.fail(str(error), code="malformed")

    async def _run(self, work: Any) -> Any:
        await self._keys.start()
        try:
            return await work
        finally:
            await self._keys.stop()

    async def _owners(self, key: KeyReference) -> Sequence[str]:
        if self._provider == UNCONFIGURED:
            return ()
        listed = self._invocation.run("key-list")
        return [owner for each in listed if each["reference"] == str(key) for owner in each["used_by"]]


def open_door(
    invocation: Invocation,
    *,
    label: str | None,
    vendor: str | None,
    pin: str | None,
    environment: Mapping[str, str] | None = None,
) -> KeyDoor:
    """The door to what options and configuration say; ends the command if they do not.

    The PIN is the option's, else the stored one, else it is asked for (R-TSA-079). ``environment`` is for the vendor's
    module, in this run alone.
    """
    configuration = invocation.loaded_configuration()
    keys = None if configuration is None else configuration.root.keys
    try:
        chosen = choose(keys, label=label, vendor=None if vendor is None else Vendor(vendor))
    except NoChoice as error:
        invocation.fail(str(error), code="no-token")
    if chosen.is_software:
        return ServiceDoor(invocation, chosen)  # nothing has a PIN there
    stored = _stored_pin(configuration, chosen)
    if pin is None and stored is not None and not environment:
        return ServiceDoor(invocation, chosen)
    if pin is not None:
        stored = os.fsencode(pin)
    elif stored is None:
        stored = os.fsencode(click.prompt(f"PIN of the token {chosen.label}", hide_input=True, err=True))
    return TokenDoor(invocation, chosen, stored, environment or {})


def _stored_pin(configuration: Configuration | None, chosen: Chosen) -> bytes | None:
    if configuration is None or chosen.configured is None:
        return None
    try:
        return configuration.secrets.resolve(chosen.configured.pin)
    except SecretUnavailable:
        return None
