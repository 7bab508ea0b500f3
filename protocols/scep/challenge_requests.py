"""Requests for challenges over HTTP: TLS, the place, who asks, and how a refusal is told, logged and audited.

They come from programs of an MDM and from people, not from devices, and are answered with a status and a sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, TypeVar

from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authentication.basic import basic_challenge, decode_authorization
from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.values import CAReference
from cspd.http.message import Handler, Request, Response
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
from protocols.scep.interfaces import Places, Terms

STATUS: Mapping[type[Refused], int] = {
    Malformed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LimitExceeded: 429,
    Unavailable: 503,
}
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Of every answer: there may be a challenge in it."""
CREDENTIALS_NEEDED = "credentials-needed"
"""The code of a refusal to who has shown nothing: a client that waits to be asked has not failed."""
_TLS_NEEDED = "tls-needed"
_UNAUDITED = frozenset({CREDENTIALS_NEEDED, _TLS_NEEDED})
_AUDITED = (Unauthorized, Forbidden, LimitExceeded, Conflict)
_REALM = basic_challenge("cspd SCEP")

Rules = TypeVar("Rules")


class ChallengeRequests:
    """What is the same for all that hands out challenges."""

    _log: ClassVar[Logger] = Logger()

    def __init__(self, *, places: Places, audit: AuditLog) -> None:
        """``places`` are the plain ones."""
        self._places = places
        self._audit = audit

    def handler(
        self, rules: Mapping[CAReference, Rules], work: Callable[[Request, Terms, Rules], Awaitable[Response]]
    ) -> Handler:
        """Answers requests by ``work``, for the CAs that have rules, over TLS alone."""

        async def handle(request: Request) -> Response:
            try:
                if not request.is_secure:
                    raise Forbidden("challenges are handed out over TLS only", code=_TLS_NEEDED)
                parameters = request.parameters
                place = await self._places.find(parameters["tenant"], parameters["ca"], parameters["profile"])
                of_ca = rules.get(place.terms.ca)
                if of_ca is None:
                    raise NotFound("no challenges are handed out here")
                return await work(request, place.terms, of_ca)
            except Refused as refusal:
                return await self._refused(request, refusal)

        return handle

    async def audit_refusal(self, request: Request, refusal: Refused, user: str = "") -> None:
        """Note that somebody got no challenge."""
        parameters = request.parameters
        event = AuditEvent(
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
        await self._audit.record(event)

    async def _refused(self, request: Request, refusal: Refused) -> Response:
        if refusal.refusal_code != CREDENTIALS_NEEDED:
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
            await self.audit_refusal(request, refusal)
        status = next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 400)
        headers = [_REALM] if status == 401 else []
        retry_after = getattr(refusal, "retry_after", None)
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(retry_after.total_seconds()))))
        return text_response(status, refusal.reason, *headers)


async def user_of(request: Request, users: PasswordCheck) -> str:
    """Who has sent its name and password; raises Unauthorized, Malformed, Unavailable."""
    credentials = decode_authorization(request.header(b"authorization"))
    if credentials is None:
        raise Unauthorized("user name and password are needed", code=CREDENTIALS_NEEDED)
    return (await users.check(credentials.user, credentials.password)).name


def text_response(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Response:
    """An answer in words."""
    always = ((b"content-type", b"text/plain; charset=utf-8"), *HEADERS)
    return Response(status, f"{sentence}\n".encode(), (*always, *headers))
