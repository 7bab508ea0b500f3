"""Builds CMP from ``[protocols.cmp]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import DeferredList

from cspd.admin.operations.values import Operation
from cspd.jobs.values import Job
from cspd.keys.threads import ThreadPool
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from cspd.refusals import NotFound
from protocols.cmp.assembly import assemble
from protocols.cmp.config import CMPConfig
from protocols.cmp.endpoint import WELL_KNOWN, CMPEndpoint
from protocols.cmp.key_generation_authority_assembly import build_key_generation_authorities
from protocols.cmp.labels import Labels
from protocols.cmp.trust import BadTrust
from protocols.cmp.trust_operations import TrustOperations

_MAC_THREADS = 2
_MACS_WAITING = 200
_KEY_THREADS = 1
_KEYS_WAITING = 50
_EVERY_MINUTE = "20 * * * * *"


def build(configuration: CMPConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    # Deriving keys and making them are apart, so that a key of RSA does not keep messages from being verified.
    call_from_thread = _call_from_thread(services)
    macs = ThreadPool("cmp-macs", _MAC_THREADS, call_from_thread=call_from_thread, limit=_MACS_WAITING)
    keys = ThreadPool("cmp-keys", _KEY_THREADS, call_from_thread=call_from_thread, limit=_KEYS_WAITING)
    generation = build_key_generation_authorities(configuration.key_generation_authorities, services)
    assembled = assemble(
        configuration, services, macs=macs, keys=keys, key_generation_authorities=generation.authorities
    )
    endpoint = CMPEndpoint(
        service=assembled.service,
        paths=Labels(configuration, tenants=services.tenants),
        max_message_octets=configuration.max_message_bytes,
    )

    def start() -> None:
        macs.start()
        keys.start()
        generation.start()

    def stop() -> Any:
        return DeferredList([macs.stop(), keys.stop(), generation.stop()])

    return ProtocolService(
        routes=endpoint.routes(),
        jobs=(
            Job(name="cmp-unconfirmed", schedule=_EVERY_MINUTE, run=assembled.unconfirmed.run),
            *generation.jobs,
        ),
        start=start,
        stop=stop,
        enrollment_urls=_enrollment_urls(configuration, services),
        operations=_operations(configuration, services),
        health=generation.authorities.health,
        metrics=(assembled.answered,),
    )


def _operations(configuration: CMPConfig, services: Services) -> Sequence[Operation]:
    try:
        return TrustOperations(configuration, services.folder).operations()
    except BadTrust as error:
        raise NotFound(f"trust: {error}") from error


def _call_from_thread(services: Services) -> Any:
    return lambda work: services.reactor.callFromThread(work)


def _secret(services: Services) -> str:
    """Which secret openssl takes: that of the demonstration works at once."""
    file = services.folder / "cmp-secret"
    if services.demo and file.exists():
        return f"-ref demo -secret {shlex.quote(f'file:{file.absolute()}')}"
    return "-ref REFERENCE -secret pass:SECRET"


def _enrollment_urls(configuration: CMPConfig, services: Services) -> tuple[EnrollmentURL, ...]:
    anchor = services.public.trust_anchor
    trust = "" if anchor is None else f" -trusted {shlex.quote(str(anchor))}"
    urls = []
    for label in configuration.labels:
        url = f"{services.public.http}{WELL_KNOWN}/p/{label.id}"
        command = (
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.key && "
            f"openssl cmp -cmd ir -server {url} {_secret(services)}{trust}"
            " -subject /CN=device -newkey device.key -certout device.pem"
        )
        urls.append(EnrollmentURL(what=f"CMP, {label.id}, openssl", url=url, command=command))
    return tuple(urls)
