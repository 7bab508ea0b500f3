"""The webhook over HTTP: ``POST https://HOST/scep/TENANT/CA/PROFILE/challenge``, see :mod:`protocols.scep.webhook`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from twisted.logger import Logger

from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.values import CAReference, Requester
from cspd.clock import Clock
from cspd.http.message import Request, Response, Route
from cspd.refusals import Forbidden, Malformed
from protocols.scep.challenge_making import ChallengeMaking, MadeChallenge, Order
from protocols.scep.challenge_requests import CREDENTIALS_NEEDED, HEADERS, ChallengeRequests, text_response, user_of
from protocols.scep.interfaces import Terms
from protocols.scep.webhook import MAX_EVENT, Delivery, DeliverySignatures, read_event

PATH = "/scep/{tenant}/{ca}/{profile}/challenge"
_PROTOCOL = "scep-webhook"
_WHO_HAS_THE_KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """Who may ask, and for what."""

    signatures: DeliverySignatures | None = None
    """For signed deliveries; without, none is taken."""
    signature_header: bytes = b"x-cspd-signature"
    """In lower case."""
    timestamp_header: bytes = b"x-cspd-timestamp"
    users: PasswordCheck | None = None
    """For HTTP Basic."""
    lifetime: timedelta = timedelta(minutes=60)
    max_usable: int = 1000


class WebhookEndpoint:
    """The route of the webhooks of all CAs."""

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        rules: Mapping[CAReference, WebhookRules],
        requests: ChallengeRequests,
        making: ChallengeMaking,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._requests = requests
        self._making = making

    def routes(self) -> Sequence[Route]:
        """For the router."""
        handler = self._requests.handler(self._rules, self._answer)
        return (Route(methods=("POST",), path=PATH, handler=handler, refuse=text_response),)

    async def _answer(self, request: Request, terms: Terms, rules: WebhookRules) -> Response:
        if len(request.body) > MAX_EVENT:
            raise Malformed(f"the event has more than {MAX_EVENT} octets")
        sender, repeats = await self._sender(request, rules)
        identity = read_event(request.body) or f"a device of {sender}"
        order = Order(
            terms=terms,
            by=Requester(protocol=_PROTOCOL, identity=sender, address=request.peer, request_id=request.request_id),
            identity=identity,
            lifetime=rules.lifetime,
            max_usable=rules.max_usable,
            repeats=repeats,
        )
        made = await self._making.make(order)
        self._log.info(
            "challenge for {identity} by the webhook, request {request_id}",
            event="scep-challenge-made",
            identity=identity,
            request_id=request.request_id,
        )
        return _response(request, made)

    async def _sender(self, request: Request, rules: WebhookRules) -> tuple[str, bytes | None]:
        """Who sends, and what makes a signed delivery that of no other."""
        signature = request.header(rules.signature_header)
        if rules.signatures is not None and signature is not None:
            timestamp = request.header(rules.timestamp_header)
            delivery = Delivery(body=request.body, timestamp=timestamp, signature=signature)
            return _WHO_HAS_THE_KEY, rules.signatures.verify(delivery, self._clock.now())
        if rules.users is None:
            raise Forbidden("a signature of the delivery is needed", code=CREDENTIALS_NEEDED)
        return await user_of(request, rules.users), None


def _response(request: Request, made: MadeChallenge) -> Response:
    if "application/json" in (request.header(b"accept") or "").lower():
        expires_at = made.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = json.dumps({"challenge": made.text, "expires_at": expires_at}).encode()
        return Response(200, body, ((b"content-type", b"application/json"), *HEADERS))
    return Response(200, made.text.encode(), ((b"content-type", b"text/plain; charset=utf-8"), *HEADERS))
