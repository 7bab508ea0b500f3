"""A request with a Kerberos ticket, from the header to the answer: the same for enrollment and for policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from cspd.authentication.negotiate import MAX_HEADER, SCHEME
from cspd.http.message import Request, Response
from cspd.refusals import Refused, Unauthorized
from protocols.wstep import http_answers
from protocols.wstep.authentication import Tickets
from protocols.wstep.messages import Caller

MAX_HEADERS: Final = MAX_HEADER + 8 * 1024
"""Octets of the headers of a request: a ticket, and what stands beside it."""


async def answer_with_ticket(
    tickets: Tickets,
    request: Request,
    *,
    answer: Callable[[Caller], Awaitable[Response]],
    record: Callable[[Refused], Awaitable[None]],
    fault: Callable[[Refused], Response],
) -> Response:
    """The answer to the caller whom the ticket names, with the server's own proof; 401 without a ticket that counts.

    ``record`` hears of every refusal but the first leg's: who sent no Authorization at all was not asked yet. Another
    scheme than Negotiate, such as NTLM, has failed (R-CEG-122).
    """
    try:
        caller, proof = await tickets.authenticate(request)
    except Unauthorized as refusal:
        if request.header(b"authorization") is not None:
            await record(refusal)
        return http_answers.challenge(SCHEME)
    except Refused as refusal:
        await record(refusal)
        return fault(refusal)
    if caller is None:
        return http_answers.challenge(proof or SCHEME)
    response = await answer(caller)
    if proof is None:
        return response
    return Response(response.status, response.body, (*response.headers, (b"www-authenticate", proof)))
