"""What the JSON form answers when it says no: problem details (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from cspd.http.message import Response
from cspd.refusals import LimitExceeded, Refused, Unavailable
from protocols.mdm.errors import INTERNAL, INTERNAL_REASON, answer_to

NO_STORE = (b"cache-control", b"no-store")


def problem(
    status: int, detail: str, code: str, *, request_id: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    """One problem; never to be cached."""
    body = json.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
            "requestId": request_id,
        }
    )
    return Response(status, body.encode(), ((b"content-type", b"application/problem+json"), NO_STORE, *headers))


def refusal_problem(refusal: Refused, *, request_id: str, challenge: tuple[bytes, bytes]) -> Response:
    """The answer that tells of a refusal; ``challenge`` is the header of a 401 that asks for a password."""
    status = answer_to(refusal).status
    return problem(
        status,
        refusal.reason,
        refusal.refusal_code,
        request_id=request_id,
        headers=refusal_headers(refusal, status, challenge=challenge),
    )


def refusal_headers(
    refusal: Refused, status: int, *, challenge: tuple[bytes, bytes]
) -> tuple[tuple[bytes, bytes], ...]:
    """What HTTP says beside it: what to authenticate with, when to come again."""
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:
        headers.append(challenge)
    if isinstance(refusal, (Unavailable, LimitExceeded)) and refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after.total_seconds()))))
    return tuple(headers)


def internal_problem(request_id: str) -> Response:
    """The answer to what nobody expected; the log has the rest under the same id."""
    return problem(500, INTERNAL_REASON, INTERNAL, request_id=request_id)


def server_problem(status: int, reason: str) -> Response:
    """What the server itself refuses before a request is read: a body too large."""
    return problem(status, reason, "http")
