"""The line for an answered request, and the request's id on every line logged meanwhile."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.correlation import REQUEST_ID
from cspd.http.message import Request, Response, Route
from cspd.http.request_log import RequestLog
from cspd.logs import LevelFilter, LogWriter
from tests.unit.http.conversation import Server

GET = b"GET /%b?password=hunter2 HTTP/1.1\r\nHost: a\r\n\r\n"


class Logged:
    """A server that logs, and what it has logged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, only_failures: bool) -> None:
        self._stream = io.StringIO()
        writer = LogWriter(levels=LevelFilter(), stream=self._stream)
        monkeypatch.setattr(RequestLog, "_log", Logger("cspd.http.request_log", observer=writer))
        self._log = Logger("protocols.acme", observer=writer)
        self.waiting: Deferred[None] = Deferred()
        self.server = Server(
            Route(methods=("GET",), path="/good", handler=self.good),
            Route(methods=("GET",), path="/slow", handler=self.slow),
            access_log=RequestLog("public", only_failures=only_failures),
        )
        self.client = self.server.connect()

    async def good(self, request: Request) -> Response:
        self._log.info("working")
        return Response(200, request.request_id.encode())

    async def slow(self, request: Request) -> Response:
        self._log.info("waiting")
        await self.waiting
        self._log.info("going on")
        return Response(200, request.request_id.encode())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


def test_an_answer_is_told_without_its_query(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(monkeypatch, only_failures=False)
    request_id = logged.client.send(GET % b"good").rpartition(b"\r\n")[2].decode()
    line = logged.lines()[-1]
    assert "hunter2" not in json.dumps(line)
    assert {name: line[name] for name in ("event", "listener", "peer", "method", "path", "status", "request_id")} == {
        "event": "request-answered",
        "listener": "public",
        "peer": "192.0.2.7",
        "method": "GET",
        "path": "/good",
        "status": 200,
        "request_id": request_id,
    }


@pytest.mark.parametrize("sent", [GET % b"nowhere", b"nonsense\r\n\r\n"], ids=["no such path", "no request"])
def test_failures_alone(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    logged = Logged(monkeypatch, only_failures=True)
    logged.client.send(GET % b"good")
    logged.client.send(sent)
    assert [line["status"] for line in logged.lines() if "status" in line] == [404 if b"nowhere" in sent else 400]


def test_lines_of_a_request_carry_its_id_also_after_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(monkeypatch, only_failures=False)
    logged.client.send(GET % b"slow")
    logged.server.connect().send(GET % b"good")
    logged.waiting.callback(None)
    request_id = logged.client.received().rpartition(b"\r\n")[2].decode()
    mine = [line["message"] for line in logged.lines() if line["request_id"] == request_id]
    assert mine[:2] == ["waiting", "going on"]
    assert "working" not in mine
    assert REQUEST_ID.get() == "", "nothing is left outside of requests"
