"""The admin API: operations in, JSON out, every command audited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cspd.admin.endpoint import AdminEndpoint
from cspd.admin.errors import STATUS
from cspd.admin.operations.values import Arguments, Caller, Operation, Operations
from cspd.audit.events import Outcome
from cspd.http.message import Request, Response
from cspd.refusals import Conflict, all_refusals
from tests.support.audit import RecordingAuditLog
from tests.support.running import result_of


class Greeting(Arguments):
    name: str
    times: int = 1


async def greet(arguments: Greeting, caller: Caller) -> Any:
    if arguments.name == "nobody":
        raise Conflict("nobody cannot be greeted", detail="internal")
    if arguments.name == "broken":
        raise RuntimeError("secret of the implementation")
    return [f"hello {arguments.name} from {caller.user}"] * arguments.times


def operations(audit: RecordingAuditLog) -> Operations:
    return Operations(
        (
            Operation(name="greeting-send", arguments=Greeting, run=greet),
            Operation(name="greeting-list", arguments=Greeting, run=greet, only_reads=True),
        ),
        audit,
    )


def send(audit: RecordingAuditLog, operation: str, body: bytes, peer: str = "uid:0") -> Response:
    endpoint = AdminEndpoint(operations(audit))
    request = Request(
        method="POST",
        target=b"/v1/" + operation.encode(),
        path=f"/v1/{operation}",
        query="",
        headers=(),
        peer=peer,
        body=body,
        parameters={"operation": operation},
        request_id="0123",
    )
    return result_of(endpoint.handle(request))


def test_a_command_is_answered_and_audited() -> None:
    audit = RecordingAuditLog()
    response = send(audit, "greeting-send", b'{"name": "bob", "times": 2}')
    assert response.status == 200
    assert json.loads(response.body) == {"result": ["hello bob from root"] * 2}
    (event,) = audit.events
    assert (event.event, event.actor, event.outcome) == ("command-run", "cspctl:root", Outcome.SUCCESS)
    assert event.fields == {"operation": "greeting-send", "reason": "", "request_id": "0123"}


def test_reading_leaves_no_trace_unless_refused() -> None:
    audit = RecordingAuditLog()
    assert send(audit, "greeting-list", b'{"name": "bob"}').status == 200
    assert audit.events == []
    assert send(audit, "greeting-list", b"{}").status == 400
    assert [event.outcome for event in audit.events] == [Outcome.REFUSED]


@pytest.mark.parametrize(
    ("operation", "body", "status", "code", "reason"),
    [
        ("farewell-send", b"{}", 404, "not-found", "there is no operation 'farewell-send'"),
        ("greeting-send", b"", 400, "malformed", "name: Field required"),
        ("greeting-send", b"[]", 400, "malformed", "the body is not a JSON object"),
        ("greeting-send", b"{", 400, "malformed", "the body is not JSON"),
        ("greeting-send", b"[" * 100_000, 400, "malformed", "the body is not JSON"),
        ("greeting-send", b'{"name": "b", "x": 1}', 400, "malformed", "x: Extra inputs are not permitted"),
        ("greeting-send", b'{"name": "nobody"}', 409, "conflict", "nobody cannot be greeted"),
    ],
)
def test_refusals(operation: str, body: bytes, status: int, code: str, reason: str) -> None:
    response = send(RecordingAuditLog(), operation, body)
    assert (response.status, json.loads(response.body)) == (status, {"error": {"code": code, "reason": reason}})


def test_an_unexpected_error_is_audited_and_left_to_the_server() -> None:
    audit = RecordingAuditLog()
    with pytest.raises(RuntimeError):
        send(audit, "greeting-send", b'{"name": "broken"}')
    assert [event.outcome for event in audit.events] == [Outcome.FAILED]


def test_every_refusal_of_the_core_has_a_status() -> None:
    assert set(STATUS) == {each for each in all_refusals() if each.__module__ == "cspd.refusals"}


def test_two_operations_of_one_name_are_refused() -> None:
    same = Operation(name="a-b", arguments=Greeting, run=greet)
    with pytest.raises(ValueError, match="two operations"):
        Operations([same, same], RecordingAuditLog())


@pytest.mark.parametrize(("peer", "name"), [("uid:0", "root"), ("uid:4294967294", "4294967294"), ("", "unknown")])
def test_the_kernel_says_who_calls(peer: str, name: str) -> None:
    response = send(RecordingAuditLog(), "greeting-send", b'{"name": "bob"}', peer)
    assert json.loads(response.body) == {"result": [f"hello bob from {name}"]}
