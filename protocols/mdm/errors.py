"""How the web service says no: the one table from our refusals to HTTP and SOAP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cspd.http.soap import FaultCode
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


@dataclass(frozen=True, slots=True)
class Answer:
    """How a refusal is told: the status of JSON's answers, and the faultcode of SOAP's (whose status is 500)."""

    status: int
    fault_code: FaultCode = FaultCode.CLIENT


ANSWERS: Mapping[type[Refused], Answer] = {
    Malformed: Answer(400),
    Unauthorized: Answer(401),
    Forbidden: Answer(403),
    NotFound: Answer(404),
    Conflict: Answer(409),
    AlreadyRevoked: Answer(409),
    BadRevocationReason: Answer(422),
    Rejected: Answer(422),
    BadProofOfPossession: Answer(422),
    BadPublicKey: Answer(422),
    BadName: Answer(422),
    BadExtension: Answer(422),
    BadValidity: Answer(422),
    LimitExceeded: Answer(429, FaultCode.SERVER),
    Unavailable: Answer(503, FaultCode.SERVER),
}

CREDENTIALS_NEEDED = "credentials-needed"
"""Code of the Unauthorized that is no failure: a client that waits to be asked for its password."""
INTERNAL = "internal-error"
INTERNAL_REASON = "internal error"


def answer_to(refusal: Refused) -> Answer:
    """The answer to a refusal; a subclass without a line of its own has that of its base."""
    return next((ANSWERS[kind] for kind in type(refusal).__mro__ if kind in ANSWERS), Answer(400))
