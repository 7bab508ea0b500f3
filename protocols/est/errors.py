"""EST says no by HTTP status and a sentence (RFC 7030, 4.2.3); the one table from our refusals to them."""

from __future__ import annotations

from collections.abc import Mapping

from cspd.http.message import Response
from cspd.refusals import (
    AlreadyRevoked,
    BadExtension,
    BadName,
    BadProofOfPossession,
    BadPublicKey,
    BadRevocationReason,
    BadValidity,
    Conflict,
    Forbidden,
    LimitExceeded,
    Malformed,
    NotFound,
    Refused,
    Rejected,
    Unauthorized,
    Unavailable,
)

STATUS: Mapping[type[Refused], int] = {
    Malformed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    AlreadyRevoked: 409,
    BadRevocationReason: 400,
    Rejected: 400,
    BadProofOfPossession: 400,
    BadPublicKey: 400,
    BadName: 400,
    BadExtension: 400,
    BadValidity: 400,
    LimitExceeded: 429,
    Unavailable: 503,
}

CREDENTIALS_NEEDED = "credentials-needed"
"""Code of the Unauthorized that is no failure: the first request of a client that waits to be asked (R-CEG-150)."""


def status_of(refusal: Refused) -> int:
    """The status of a refusal; a subclass without a line of its own has that of its base."""
    return next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 400)


def text_response(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Response:
    """An answer with one sentence for a human, never to be cached."""
    always = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))
    return Response(status, f"{sentence}\n".encode(), (*always, *headers))


def response_to(refusal: Refused, *, challenge: bytes) -> Response:
    """The answer that tells of a refusal; ``challenge`` is the WWW-Authenticate of a 401."""
    if refusal.refusal_code == CREDENTIALS_NEEDED:
        return _silent_challenge(challenge)
    status = status_of(refusal)
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:
        headers.append((b"www-authenticate", challenge))
    if isinstance(refusal, (Unavailable, LimitExceeded)) and refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after.total_seconds()))))
    return text_response(status, refusal.reason, *headers)


def _silent_challenge(challenge: bytes) -> Response:
    """The first 401, without a sentence.

    Bouncy Castle's client (bcpkix 1.72) does not read the body of a 401 that it answers with its password, and then
    gives up: "Stream closed before limit fully read". The challenge says all that there is to say.
    """
    return Response(401, b"", ((b"www-authenticate", challenge), (b"cache-control", b"no-store")))
