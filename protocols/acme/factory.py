"""Builds ACME from ``[protocols.acme]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from cspd.dns.resolver import Resolver, system_nameservers
from cspd.jobs.values import Job
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from protocols.acme import repository
from protocols.acme.accounts import Accounts
from protocols.acme.authentication import Authentication
from protocols.acme.authorizations import Authorizations
from protocols.acme.background import Background
from protocols.acme.challenges.addresses import AddressRules
from protocols.acme.challenges.dns01 import DNS01
from protocols.acme.challenges.http01 import HTTP01
from protocols.acme.challenges.http_client import HTTPClient
from protocols.acme.challenges.values import ChallengeType
from protocols.acme.config import ACMEConfig
from protocols.acme.directories import Directories
from protocols.acme.download import Download
from protocols.acme.endpoint import ACMEEndpoint, Resources
from protocols.acme.finalization import Finalization
from protocols.acme.identifiers import IdentifierPolicy
from protocols.acme.nonces import Nonces
from protocols.acme.orders import Orders
from protocols.acme.revocation import AllowedReasons, CertificateRevocation
from protocols.acme.tokens import Tokens
from protocols.acme.urls import directory_template
from protocols.acme.validation import Validation

RESUME_VALIDATIONS = "0/10 * * * * *"
RECOVER_ORDERS = "5/10 * * * * *"
DELETE_USED_NONCES = "0 0/10 * * * *"
"""Schedules that nobody needs to configure."""

_CLIENTS = (
    (
        "certbot",
        "REQUESTS_CA_BUNDLE",
        "certbot certonly --standalone --agree-tos --register-unsafely-without-email --server {url} -d {name}",
    ),
    (
        "lego",
        "LEGO_CA_CERTIFICATES",
        "lego --accept-tos --email you@example.com --server {url} --http -d {name} run",
    ),
)
"""Name, the environment variable that takes a trust anchor, and command."""


def build(configuration: ACMEConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    return build_with(configuration, services, _challenge_types(configuration, services))


def build_with(
    configuration: ACMEConfig, services: Services, challenge_types: Sequence[ChallengeType]
) -> ProtocolService:
    """The same with other ways to prove control (tests)."""
    tokens = Tokens(services.random)
    background = Background()
    directories = Directories(
        authorities=services.authorities,
        tenants=services.tenants,
        profiles=frozenset(configuration.profiles),
        public_https=services.public.https,
    )
    nonces = Nonces(
        database=services.database,
        clock=services.clock,
        random=services.random,
        lifetime=configuration.nonce_lifetime,
    )
    validation = Validation(
        database=services.database,
        clock=services.clock,
        reactor=services.reactor,
        background=background,
        challenge_types=challenge_types,
        owner=services.process,
        lifetime=configuration.authorization_expiry,
        max_concurrent=configuration.max_validations,
    )
    orders = Orders(
        database=services.database,
        clock=services.clock,
        tokens=tokens,
        policy=IdentifierPolicy(single_label_names=frozenset(configuration.single_label_names)),
        challenge_types=challenge_types,
        expiry=configuration.order_expiry,
        takes_validity=configuration.allow_requested_validity,
    )
    finalization = Finalization(
        database=services.database,
        clock=services.clock,
        reactor=services.reactor,
        background=background,
        orders=orders,
        issuance=services.issuance,
        audit=services.audit,
        owner=services.process,
    )
    authorizations = Authorizations(database=services.database, clock=services.clock, validation=validation)
    resources = Resources(
        directories=directories,
        nonces=nonces,
        authentication=Authentication(
            database=services.database, nonces=nonces, algorithms=configuration.signature_algorithms
        ),
        accounts=Accounts(database=services.database, clock=services.clock, tokens=tokens, audit=services.audit),
        orders=orders,
        authorizations=authorizations,
        finalization=finalization,
        download=Download(
            database=services.database,
            certificates=services.certificates,
            includes_root=configuration.include_root,
        ),
        revocation=CertificateRevocation(
            database=services.database,
            clock=services.clock,
            certificates=services.certificates,
            revocation=services.revocation,
            reasons=AllowedReasons(
                frozenset(configuration.revocation_reasons),
                {ca: frozenset(reasons) for ca, reasons in configuration.revocation_reasons_by_ca.items()},
            ),
        ),
    )
    endpoint = ACMEEndpoint(
        resources, public_https=services.public.https, max_identifiers=configuration.max_identifiers
    )

    async def recover_orders() -> None:
        await finalization.recover(directories)

    async def take_up() -> None:
        await services.database.write(
            lambda connection: repository.end_leases_of_the_dead(connection, services.process)
        )
        await validation.resume()
        await recover_orders()

    def start() -> None:
        background.start(take_up(), "taking up what was broken off")

    return ProtocolService(
        routes=endpoint.routes(),
        jobs=(
            Job(
                name="acme-delete-expired-authorizations",
                schedule=configuration.delete_expired_authorizations,
                run=authorizations.delete_expired,
            ),
            Job(
                name="acme-delete-expired-orders",
                schedule=configuration.delete_expired_orders,
                run=orders.delete_expired,
            ),
            Job(name="acme-delete-used-nonces", schedule=DELETE_USED_NONCES, run=nonces.delete_expired),
            Job(name="acme-resume-validations", schedule=RESUME_VALIDATIONS, run=validation.resume),
            Job(name="acme-recover-orders", schedule=RECOVER_ORDERS, run=recover_orders),
        ),
        start=start,
        stop=lambda: Deferred.fromCoroutine(background.stop()),
        enrollment_urls=_enrollment_urls(configuration, services),
    )


def _challenge_types(configuration: ACMEConfig, services: Services) -> Sequence[ChallengeType]:
    dns01, http01 = configuration.dns01, configuration.http01
    reactor: Any = services.reactor

    def resolver(nameservers: Sequence[tuple[str, int]]) -> Resolver:
        return Resolver(
            reactor=reactor,
            random=services.random,
            nameservers=(lambda: nameservers) if nameservers else system_nameservers,
        )

    rules = AddressRules(configuration.allow_addresses)
    return (
        HTTP01(
            reactor=reactor,
            client=HTTPClient(
                reactor=reactor,
                connect_timeout=http01.connect_timeout,
                max_body_octets=http01.max_response_bytes,
            ),
            resolver=resolver(http01.nameservers or dns01.nameservers),
            rules=rules,
            configuration=http01,
        ),
        DNS01(reactor=reactor, resolver=resolver(dns01.nameservers), query_timeout=dns01.query_timeout / 1000),
    )


def _enrollment_urls(configuration: ACMEConfig, services: Services) -> tuple[EnrollmentURL, ...]:
    """One for each tenant, profile and client; the daemon fills in the CAs."""
    name = "localhost" if services.demo else "NAME"
    anchor = services.public.trust_anchor
    urls = []
    for tenant in sorted(services.tenants):
        for profile in configuration.profiles:
            url = directory_template(services.public.https, tenant, profile)
            for client, variable, command in _CLIENTS:
                trust = "" if anchor is None else f"{variable}={shlex.quote(str(anchor))} "
                urls.append(
                    EnrollmentURL(
                        what=f"ACME, {profile}, {client}",
                        url=url,
                        command=trust + command.format(url=url, name=name),
                        profile=profile,
                    )
                )
    return tuple(urls)
