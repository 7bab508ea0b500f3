"""The table from refusals to ACME errors."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cspd.refusals import LimitExceeded, Refused, Unavailable, all_refusals
from protocols.acme.errors import REFUSALS, ErrorType, Problem, from_refusal, internal_error
from protocols.acme.messages import Identifier


def test_every_refusal_has_an_error() -> None:
    core = {refusal for refusal in all_refusals() if refusal.__module__ == "cspd.refusals"}
    assert set(REFUSALS) == core


@pytest.mark.parametrize("refusal", sorted(REFUSALS, key=lambda refusal: refusal.code))
def test_a_refusal_becomes_its_row(refusal: type[Refused]) -> None:
    error = from_refusal(refusal("because", detail="only for the log"))
    assert (error.problem.type, error.problem.http_status) == REFUSALS[refusal]
    assert error.problem.detail == "because"


def test_a_refusal_of_a_plugin_is_answered_as_its_base() -> None:
    error = from_refusal(type("TokenLost", (Unavailable,), {})("the token is gone"))
    assert error.problem.http_status == 503


@pytest.mark.parametrize("refusal", [Unavailable("later", retry_after=timedelta(seconds=7)),
                                     LimitExceeded("later", retry_after=timedelta(seconds=7))])  # fmt: skip
def test_when_to_come_again_is_told(refusal: Refused) -> None:
    assert from_refusal(refusal).headers == ((b"retry-after", b"7"),)


def test_a_problem_document_has_the_members_of_the_rfc() -> None:
    inner = Problem(type=ErrorType.REJECTED_IDENTIFIER, detail="no", identifier=Identifier("dns", "a.example"))
    outer = Problem(type=ErrorType.COMPOUND, detail="some", subproblems=(inner,), algorithms=("ES256",))
    assert outer.to_json() == {
        "type": "urn:ietf:params:acme:error:compound",
        "detail": "some",
        "status": 400,
        "algorithms": ["ES256"],
        "subproblems": [
            {
                "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                "detail": "no",
                "identifier": {"type": "dns", "value": "a.example"},
            }
        ],
    }


def test_an_internal_error_tells_its_reference_only() -> None:
    assert internal_error("request-7").problem.to_json() == {
        "type": "urn:ietf:params:acme:error:serverInternal",
        "detail": "internal error; quote the reference request-7",
        "status": 500,
    }
