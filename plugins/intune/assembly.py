"""Builds the connection to Intune of one ``[[protocols.scep.intune]]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from cspd.clock import Clock
from cspd.config.values import SecretReference
from cspd.http.outbound.values import Outbound, OutboundRequest, OutboundResponse
from cspd.keys.threads import SigningPool, ThreadPool
from cspd.refusals import Unavailable
from plugins.intune.calls import Calls
from plugins.intune.condition import Condition
from plugins.intune.endpoints import Endpoints
from plugins.intune.service import Intune
from plugins.intune.tokens import Tokens
from protocols.scep.intune.application_certificate import BadApplicationCertificate, read_application_certificate
from protocols.scep.intune.config import IntuneConfig

_WAITING = 1000
"""Requests that wait for a token at one time."""

Credential = str | Mapping[str, str]


def build(
    config: IntuneConfig,
    *,
    reactor: Any,
    clock: Clock,
    random: Random,
    outbound: Outbound,
    secret: Callable[[SecretReference], bytes],
    folder: Path,
) -> Intune:
    """See :class:`protocols.scep.intune.interfaces.IntuneServiceFactory`."""
    # One thread: it asks for two tokens an hour, and otherwise looks into MSAL's cache.
    pool = ThreadPool(f"intune-{config.ca}", 1, call_from_thread=reactor.callFromThread, limit=_WAITING)

    def send(request: OutboundRequest) -> OutboundResponse:
        """In the pool's thread."""
        begin: Any = lambda: Deferred.fromCoroutine(outbound.send(request))  # noqa: E731
        response: OutboundResponse = blockingCallFromThread(reactor, begin)
        return response

    return assemble(
        config, reactor=reactor, clock=clock, random=random, outbound=outbound, secret=secret, folder=folder, pool=pool,
        send=send,
    )  # fmt: skip


def assemble(
    config: IntuneConfig,
    *,
    reactor: Any,
    clock: Clock,
    random: Random,
    outbound: Outbound,
    secret: Callable[[SecretReference], bytes],
    folder: Path,
    pool: SigningPool,
    send: Callable[[OutboundRequest], OutboundResponse],
) -> Intune:
    """The same with a pool for MSAL, in whose thread ``send`` blocks; raises Unavailable for what cannot be read."""
    endpoints = Endpoints.of(config)
    credential, ends = _credential(config, secret, folder)
    condition = Condition(config.ca, clock=clock, credential_ends=ends)
    tokens = Tokens(
        pool=pool,
        application_id=config.azure_application_id,
        authority=endpoints.authority(config.azure_tenant),
        credential=credential,
        send=send,
    )
    calls = Calls(
        reactor=reactor,
        clock=clock,
        random=random,
        outbound=outbound,
        tokens=tokens,
        endpoints=endpoints,
        condition=condition,
    )
    return Intune(calls, condition, pool)


def _credential(
    config: IntuneConfig, secret: Callable[[SecretReference], bytes], folder: Path
) -> tuple[Credential, datetime | None]:
    """For MSAL, and until when it is good if that is known."""
    try:
        if config.application_secret is not None:
            return secret(config.application_secret).decode(), None
        assert config.application_p12 is not None
        assert config.application_p12_password is not None
        password = secret(config.application_p12_password)
        certificate = read_application_certificate(folder / config.application_p12, password)
    except BadApplicationCertificate as error:
        raise Unavailable(f"intune: {config.ca}: application_p12: {error}") from error
    except ValueError as error:
        raise Unavailable(f"intune: {config.ca}: {error}") from error
    pem = {"private_key": certificate.private_key_pem, "public_certificate": certificate.certificate_pem}
    return pem, certificate.not_after
