"""Log lines and counts of answers, in the words that the guide's filters look for."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from cspd.logs import LevelFilter, LogWriter
from cspd.refusals import Unavailable
from protocols.tsp.messages import HashAlgorithm, PKIFailureInfo
from protocols.tsp.request_events import STATUS_NAMES, outcome
from tests.protocols.tsp.authority import ISSUER, Authority, request_for


class Lines:
    """What was logged while it is open."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def logged() -> Iterator[Lines]:
    lines = Lines()
    writer = LogWriter(levels=LevelFilter("INFO"), stream=lines.stream)
    globalLogPublisher.addObserver(writer)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(writer)


@pytest.mark.requirement("R-TSA-052")
def test_request_that_a_bad_clock_stops_has_the_four_fields_of_the_guide() -> None:
    authority = Authority()
    authority.clock.bad = "the system clock is 0.7 s ahead of true time; 0.5 s are allowed"
    with logged() as lines:
        authority.ask()
    [line] = lines.read
    assert line["level"] == "info"
    assert line["msg"] == "ProcessTimeStampRequest.Failed"
    assert line["tsa-log"]["tsa-pkistatus-string"] == "TimeNotAvailableTSError"
    assert line["cause"]["cause"]["cause"]["msg"] == "BadClock"
    assert authority.clock.bad in line["message"], "people want to know why"


@pytest.mark.requirement("R-TSA-092")
def test_every_request_can_be_found_by_the_guide_s_filters() -> None:
    authority = Authority({}, {"id": "other"})
    with logged() as lines:
        authority.ask()
        authority.ask(issuer="other")
        authority.ask(request_for(algorithm=HashAlgorithm.SHA1))
    found = lines.text.splitlines()
    assert ['"ProcessTimeStampRequest.' in line for line in found] == [True, True, True]
    assert ['"ProcessTimeStampRequest.Failed"' in line for line in found] == [False, False, True]
    assert [f'"endpoint": "{ISSUER}"' in line for line in found] == [True, False, True]
    assert {(line["namespace"], line["app"]) for line in lines.read} == {("tsa", "tsa")}


def test_only_failed_requests_are_logged_when_configured() -> None:
    authority = Authority(log_requests="failed")
    with logged() as lines:
        authority.ask()
        authority.ask(request_for(algorithm=HashAlgorithm.SHA1))
    [line] = lines.read
    assert line["msg"] == "ProcessTimeStampRequest.Failed"


@pytest.mark.requirement("R-TSA-037")
@pytest.mark.parametrize("log_requests", ["all", "failed"])
def test_answers_are_logged_when_configured_and_else_not(log_requests: str) -> None:
    authority = Authority({"log_response": True}, {"id": "other"}, log_requests=log_requests)
    with logged() as lines:
        answers = [authority.ask(), authority.ask(request_for(algorithm=HashAlgorithm.SHA1))]
        authority.ask(issuer="other")
        authority.ask(request_for(algorithm=HashAlgorithm.SHA1), issuer="other")
    encoded = [line["tsa-timestampresponse-encoded"] for line in lines.read if line["endpoint"] == ISSUER]
    assert [b64decode(each) for each in encoded] == answers
    assert not any("tsa-timestampresponse-encoded" in line for line in lines.read if line["endpoint"] == "other")


@pytest.mark.requirement("R-TSA-095")
def test_system_failure_is_an_error_whose_inside_is_in_the_log_alone() -> None:
    authority = Authority()
    authority.serial_numbers.refusal = Unavailable("the database does not answer", detail="port 5432 is closed")
    with logged() as lines:
        answer = authority.ask()
    [line] = lines.read
    assert line["level"] == "error"
    assert line["reason"] == "the database does not answer (port 5432 is closed)"
    assert "traceback" not in line
    assert b"database" not in answer


def test_bug_leaves_its_traceback_in_the_log() -> None:
    authority = Authority()
    authority.serial_numbers.refusal = ZeroDivisionError("a bug")
    with logged() as lines:
        authority.ask()
    [line] = lines.read
    assert "ZeroDivisionError: a bug" in line["traceback"]
    assert line["tsa-log"]["tsa-pkistatus-string"] == "SystemFailureTSError"


def test_answers_are_counted_by_issuer_and_outcome() -> None:
    authority = Authority({}, {"id": "other"})
    authority.ask()
    authority.ask()
    authority.ask(request_for(algorithm=HashAlgorithm.SHA1))
    authority.clock.bad = "it drifts"
    authority.ask(issuer="other")
    assert authority.count("granted") == 2
    assert authority.count("badAlg") == 1
    assert authority.count("timeNotAvailable", "other") == 1
    assert authority.count("granted", "other") == 0


def test_every_failure_has_its_name_in_the_log_and_in_the_metrics() -> None:
    assert set(STATUS_NAMES) == set(PKIFailureInfo)
    for fail_info, name in STATUS_NAMES.items():
        assert name.removesuffix("TSError").lower() == outcome(fail_info).lower()
