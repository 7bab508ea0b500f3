"""Where challenges are handed out over HTTP: to an MDM by a webhook, and to NDES's clients on a page.

::

    /scep/TENANT/CA/PROFILE/challenge          POST, signed or with HTTP Basic
    /scep/TENANT/CA/PROFILE/mscep_admin[/]     GET, with HTTP Basic

Both over TLS alone. Beside devices, which have a message of their own for everything, these speak to programs of an
MDM: they are answered with a status and a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authentication.basic import basic_challenge, decode_authorization
from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.interfaces import Authorities
from cspd.authority.values import CAReference, Requester
from cspd.clock import Clock
from cspd.http.message import Handler, Request, Response, Route
from cspd.refusals import (
    Conflict,
    Forbidden,
    LimitExceeded,
    Malformed,
    NotFound,
    Refused,
    Unauthorized,
    Unavailable,
)
from protocols.scep.admin_page import encode_page, full_page, password_page
from protocols.scep.challenge_making import ChallengeMaking, MadeChallenge, Order
from protocols.scep.interfaces import Places, Terms
from protocols.scep.webhook import MAX_EVENT, Delivery, DeliverySignatures, read_event

WEBHOOK = "/scep/{tenant}/{ca}/{profile}/challenge"
ADMIN_PAGE = "/scep/{tenant}/{ca}/{profile}/mscep_admin"
STATUS: Mapping[type[Refused], int] = {
    Malformed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LimitExceeded: 429,
    Unavailable: 503,
}
_AUDITED = (Unauthorized, Forbidden, LimitExceeded, Conflict)
_REALM = basic_challenge("cspd SCEP")
_CREDENTIALS_NEEDED = "credentials-needed"
_TLS_NEEDED = "tls-needed"
_UNAUDITED = frozenset({_CREDENTIALS_NEEDED, _TLS_NEEDED})
"""Who has shown nothing yet has not failed."""
_WEBHOOK = "scep-webhook"
_PAGE = "scep-admin-page"
_SIGNED = "key"
"""The name of whoever has the key of a webhook."""
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """Who may ask by a webhook, and for what."""

    signatures: DeliverySignatures | None = None
    signature_header: bytes = b"x-cspd-signature"
    """In lower case."""
    timestamp_header: bytes = b"x-cspd-timestamp"
    users: PasswordCheck | None = None
    lifetime: timedelta = timedelta(minutes=60)
    max_usable: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPageRules:
    """Who may see the page, and what it shows."""

    users: PasswordCheck
    lifetime: timedelta = timedelta(minutes=60)
    max_usable: int = 5
    reusable: bool = False
    digits: int = 16
    encoding: str = "utf-16"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingOut:
    """How challenges of one CA are handed out."""

    webhook: WebhookRules | None = None
    admin_page: AdminPageRules | None = None


class ChallengeEndpoint:
    """The routes of webhooks and pages."""

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        places: Places,
        rules: Mapping[CAReference, HandingOut],
        making: ChallengeMaking,
        authorities: Authorities,
        audit: AuditLog,
    ) -> None:
        """``places`` are the plain ones; nothing is served for a CA without ``rules``."""
        self._clock = clock
        self._places = places
        self._rules = rules
        self._making = making
        self._authorities = authorities
        self._audit = audit

    def routes(self) -> Sequence[Route]:
        """The webhook, and the page with and without a slash at its end."""
        return (
            Route(methods=("POST",), path=WEBHOOK, handler=self._handler(self._webhook), refuse=_text),
            Route(methods=("GET",), path=ADMIN_PAGE, handler=self._handler(self._page), refuse=_text),
            Route(methods=("GET",), path=ADMIN_PAGE + "/", handler=self._handler(self._page), refuse=_text),
        )

    def _handler(self, work: Callable[[Request, Terms, HandingOut], Awaitable[Response]]) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                if not request.is_secure:
                    raise Forbidden("challenges are handed out over TLS only", code=_TLS_NEEDED)
                parameters = request.parameters
                place = await self._places.find(parameters["tenant"], parameters["ca"], parameters["profile"])
                rules = self._rules.get(place.terms.ca)
                if rules is None:
                    raise NotFound("no challenges are handed out here")
                return await work(request, place.terms, rules)
            except Refused as refusal:
                return await self._refused(request, refusal)

        return handle

    async def _webhook(self, request: Request, terms: Terms, handing_out: HandingOut) -> Response:
        rules = handing_out.webhook
        if rules is None:
            raise NotFound("there is no webhook here")
        if len(request.body) > MAX_EVENT:
            raise Malformed(f"the event has more than {MAX_EVENT} octets")
        sender, repeats = await self._sender(request, rules)
        identity = read_event(request.body)
        order = Order(
            terms=terms,
            by=self._requester(request, _WEBHOOK, sender),
            identity=identity or f"a device of {sender}",
            lifetime=rules.lifetime,
            max_usable=rules.max_usable,
            repeats=repeats,
        )
        made = await self._making.make(order)
        self._log.info(
            "challenge for {identity} by the webhook, request {request_id}",
            event="scep-challenge-made",
            identity=order.identity,
            request_id=request.request_id,
        )
        return _challenge_response(request, made)

    async def _sender(self, request: Request, rules: WebhookRules) -> tuple[str, bytes | None]:
        """Who sends, and what makes a signed delivery that of no other."""
        signature = request.header(rules.signature_header)
        if rules.signatures is not None and signature is not None:
            delivery = Delivery(
                body=request.body, timestamp=request.header(rules.timestamp_header), signature=signature
            )
            return _SIGNED, rules.signatures.verify(delivery, self._clock.now())
        if rules.users is None:
            raise Forbidden("a signature of the delivery is needed", code=_CREDENTIALS_NEEDED)
        return await _user(request, rules.users), None

    async def _page(self, request: Request, terms: Terms, handing_out: HandingOut) -> Response:
        rules = handing_out.admin_page
        if rules is None:
            raise NotFound("there is no such page here")
        user = await _user(request, rules.users)
        if request.method == "HEAD":  # whose answer, with the challenge in it, would be lost
            return Response(405, b"", (*_HEADERS, (b"allow", b"GET")))
        authority = await self._authorities.get(terms.ca)
        if authority.certificate_der is None:
            raise Unavailable("the CA has no certificate yet")
        now = self._clock.now()
        order = Order(
            terms=terms,
            by=self._requester(request, _PAGE, user),
            identity=user,
            lifetime=2 * rules.lifetime if rules.reusable else rules.lifetime,
            max_usable=rules.max_usable,
            one_time=not rules.reusable,
            digits=32 if rules.reusable else rules.digits,
            repeats=_period(now, rules.lifetime) if rules.reusable else None,
        )
        try:
            made = await self._making.make(order)
        except LimitExceeded as refusal:
            await self._audit.record(_refusal_event(request, refusal, user))
            page = full_page(limit=rules.max_usable, minutes=_minutes(rules.lifetime))
        else:
            minutes = _minutes(made.expires_at - now)
            page = password_page(authority.certificate_der, made.text, minutes=minutes, one_time=not rules.reusable)
        media_type = f"text/html; charset={rules.encoding}".encode("ascii")
        return Response(200, encode_page(page, rules.encoding), ((b"content-type", media_type), *_HEADERS))

    def _requester(self, request: Request, protocol: str, identity: str) -> Requester:
        return Requester(protocol=protocol, identity=identity, address=request.peer, request_id=request.request_id)

    async def _refused(self, request: Request, refusal: Refused) -> Response:
        if refusal.refusal_code != _CREDENTIALS_NEEDED:
            self._log.warn(
                "challenge request {request_id} from {address} to {path} was refused: {reason}",
                event="scep-challenge-request-refused",
                request_id=request.request_id,
                address=request.peer,
                path=request.path,
                code=refusal.refusal_code,
                reason=refusal.reason,
                detail=refusal.detail,
            )
        if isinstance(refusal, _AUDITED) and refusal.refusal_code not in _UNAUDITED:
            await self._audit.record(_refusal_event(request, refusal))
        status = next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 400)
        headers = [_REALM] if status == 401 else []
        retry_after = getattr(refusal, "retry_after", None)
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(retry_after.total_seconds()))))
        return _text(status, refusal.reason, *headers)


async def _user(request: Request, users: PasswordCheck) -> str:
    credentials = decode_authorization(request.header(b"authorization"))
    if credentials is None:
        raise Unauthorized("user name and password are needed", code=_CREDENTIALS_NEEDED)
    return (await users.check(credentials.user, credentials.password)).name


def _period(now: datetime, length: timedelta) -> bytes:
    """The number of the span of time that it is: a reusable challenge is shown throughout one."""
    return b"period %d" % (int(now.timestamp()) // max(1, int(length.total_seconds())))


def _minutes(span: timedelta) -> int:
    return max(1, int(span.total_seconds() // 60))


def _refusal_event(request: Request, refusal: Refused, user: str = "") -> AuditEvent:
    parameters = request.parameters
    return AuditEvent(
        event="scep-challenge-request-refused",
        actor=f"scep:{user or request.peer}",
        outcome=Outcome.REFUSED,
        fields={
            "ca": parameters["ca"],
            "profile": parameters["profile"],
            "reason": refusal.reason,
            "address": request.peer,
            "request_id": request.request_id,
        },
    )


def _challenge_response(request: Request, made: MadeChallenge) -> Response:
    if "application/json" in (request.header(b"accept") or "").lower():
        expires_at = made.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = json.dumps({"challenge": made.text, "expires_at": expires_at}).encode()
        return Response(200, body, ((b"content-type", b"application/json"), *_HEADERS))
    return Response(200, made.text.encode(), ((b"content-type", b"text/plain; charset=utf-8"), *_HEADERS))


def _text(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Response:
    always = ((b"content-type", b"text/plain; charset=utf-8"), *_HEADERS)
    return Response(status, f"{sentence}\n".encode(), (*always, *headers))
