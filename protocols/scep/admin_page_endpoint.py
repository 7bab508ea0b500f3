"""The page for NDES's clients over HTTP: ``GET https://HOST/scep/TENANT/CA/PROFILE/mscep_admin/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.interfaces import Authorities
from cspd.authority.values import CAReference, Requester
from cspd.clock import Clock
from cspd.http.message import Request, Response, Route
from cspd.refusals import LimitExceeded, Unavailable
from protocols.scep.admin_page import encode_page, full_page, password_page
from protocols.scep.challenge_making import ChallengeMaking, Order
from protocols.scep.challenge_requests import HEADERS, ChallengeRequests, text_response, user_of
from protocols.scep.interfaces import Terms

PATH = "/scep/{tenant}/{ca}/{profile}/mscep_admin"
_PROTOCOL = "scep-admin-page"
_REUSABLE_DIGITS = 32
"""Which challenge it is follows from who asks when, so its reference has to be one that no other has by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPageRules:
    """Who may see the page, and what it shows."""

    users: PasswordCheck
    lifetime: timedelta = timedelta(minutes=60)
    max_usable: int = 5
    reusable: bool = False
    """One challenge for many devices, the same throughout a ``lifetime``, and good for one more."""
    digits: int = 16
    """Of a one-time challenge."""
    encoding: str = "utf-16"


class AdminPageEndpoint:
    """The routes of the pages of all CAs."""

    def __init__(
        self,
        *,
        clock: Clock,
        rules: Mapping[CAReference, AdminPageRules],
        requests: ChallengeRequests,
        making: ChallengeMaking,
        authorities: Authorities,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._requests = requests
        self._making = making
        self._authorities = authorities

    def routes(self) -> Sequence[Route]:
        """With and without a slash at the end."""
        handler = self._requests.handler(self._rules, self._answer)
        return tuple(
            Route(methods=("GET",), path=path, handler=handler, refuse=text_response) for path in (PATH, f"{PATH}/")
        )

    async def _answer(self, request: Request, terms: Terms, rules: AdminPageRules) -> Response:
        user = await user_of(request, rules.users)
        if request.method == "HEAD":  # whose answer, with the challenge in it, would be lost
            return Response(405, b"", (*HEADERS, (b"allow", b"GET")))
        page = await self._page(request, terms, rules, user)
        media_type = f"text/html; charset={rules.encoding}".encode("ascii")
        return Response(200, encode_page(page, rules.encoding), ((b"content-type", media_type), *HEADERS))

    async def _page(self, request: Request, terms: Terms, rules: AdminPageRules, user: str) -> str:
        certificate_der = (await self._authorities.get(terms.ca)).certificate_der
        if certificate_der is None:
            raise Unavailable("the CA has no certificate yet")
        by = Requester(protocol=_PROTOCOL, identity=user, address=request.peer, request_id=request.request_id)
        now = self._clock.now()
        try:
            made = await self._making.make(_order(terms, rules, by, now))
        except LimitExceeded as refusal:  # which NDES tells on a page, with the status 200
            await self._requests.audit_refusal(request, refusal, user)
            return full_page(limit=rules.max_usable, minutes=_minutes(rules.lifetime))
        minutes = _minutes(made.expires_at - now)
        return password_page(certificate_der, made.text, minutes=minutes, one_time=not rules.reusable)


def _order(terms: Terms, rules: AdminPageRules, by: Requester, now: datetime) -> Order:
    one_time = Order(
        terms=terms,
        by=by,
        identity=by.identity,
        lifetime=rules.lifetime,
        max_usable=rules.max_usable,
        digits=rules.digits,
    )
    if not rules.reusable:
        return one_time
    return replace(
        one_time,
        one_time=False,
        lifetime=2 * rules.lifetime,
        digits=_REUSABLE_DIGITS,
        repeats=_period(now, rules.lifetime),
    )


def _period(now: datetime, length: timedelta) -> bytes:
    """The number of the span of time that it is."""
    return b"period %d" % (int(now.timestamp()) // int(length.total_seconds()))


def _minutes(span: timedelta) -> int:
    return max(1, int(span.total_seconds() // 60))
