"""Builds what hands out challenges from the sections of services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cspd.authentication.several import FirstOf
from cspd.authority.values import CAReference
from cspd.http.message import Route
from cspd.plugin import Services
from cspd.refusals import NotFound, Unavailable
from cspd.store.secrets import SharedSecrets
from protocols.scep.admin_page_endpoint import AdminPageEndpoint, AdminPageRules
from protocols.scep.challenge_config import AdminPageConfig, ChallengeSettings, WebhookConfig
from protocols.scep.challenge_making import ChallengeMaking
from protocols.scep.challenge_requests import ChallengeRequests
from protocols.scep.interfaces import Places
from protocols.scep.webhook import MIN_KEY, DeliverySignatures
from protocols.scep.webhook_endpoint import WebhookEndpoint, WebhookRules


def challenge_routes(
    settings: Mapping[CAReference, ChallengeSettings], *, places: Places, services: Services
) -> Sequence[Route]:
    """The routes of the webhooks and pages of all services.

    Raises NotFound for an ``[authentication.NAME]`` that there is not, Unavailable for a secret that cannot be had.
    """
    requests = ChallengeRequests(places=places, audit=services.audit)
    making = ChallengeMaking(
        random=services.random,
        secrets=services.enrollment_secrets,
        shared_secrets=SharedSecrets(
            database=services.database, clock=services.clock, random_bytes=services.random.randbytes
        ),
    )
    webhook = WebhookEndpoint(
        clock=services.clock,
        rules={ca: _webhook(each.webhook, services) for ca, each in settings.items() if each.webhook is not None},
        requests=requests,
        making=making,
    )
    page = AdminPageEndpoint(
        clock=services.clock,
        rules={
            ca: _admin_page(each.mscep_admin, services) for ca, each in settings.items() if each.mscep_admin is not None
        },
        requests=requests,
        making=making,
        authorities=services.authorities,
    )
    return (*webhook.routes(), *page.routes())


def _webhook(webhook: WebhookConfig, services: Services) -> WebhookRules:
    return WebhookRules(
        signatures=_signatures(webhook, services),
        signature_header=webhook.signature_header.lower().encode("ascii"),
        timestamp_header=webhook.timestamp_header.lower().encode("ascii"),
        users=_users("webhook", webhook.users, services) if webhook.users else None,
        lifetime=webhook.lifetime,
        max_usable=webhook.max_outstanding,
    )


def _signatures(webhook: WebhookConfig, services: Services) -> DeliverySignatures | None:
    if webhook.key is None:
        return None
    try:
        key = services.secret(webhook.key)
    except ValueError as error:
        raise Unavailable(f"webhook: key: {error}") from error
    if len(key) < MIN_KEY:
        raise Unavailable(f"webhook: key: it has {len(key)} bytes and needs {MIN_KEY}")
    return DeliverySignatures(key=key, tolerance=webhook.tolerance)


def _admin_page(page: AdminPageConfig, services: Services) -> AdminPageRules:
    return AdminPageRules(
        users=_users("mscep_admin", page.users, services),
        lifetime=page.lifetime,
        max_usable=page.max_outstanding,
        reusable=page.reusable,
        digits=page.digits,
        encoding=page.encoding,
    )


def _users(where: str, names: Sequence[str], services: Services) -> FirstOf:
    missing = [name for name in names if name not in services.password_checks]
    if missing:
        raise NotFound(f"{where}: users: there is no [authentication.{missing[0]}]")
    return FirstOf([services.password_checks[name] for name in names])
