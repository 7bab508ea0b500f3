"""Answered requests are counted."""

from __future__ import annotations

from cspd.http.message import Request, Response, Route
from cspd.http.request_log import RequestLog
from cspd.monitoring.requests import BOUNDS, RequestCounters
from tests.support.metrics import collected
from tests.unit.http.conversation import Server


async def handle(request: Request) -> Response:
    return Response(200)


def a_request(method: str = "POST") -> Request:
    return Request(method=method, target=b"/x", path="/x", query="", headers=(), body=b"")


def a_route(protocol: str) -> Route:
    return Route(methods=("POST", "GET"), path="/x", handler=handle, protocol=protocol)


def counts(counters: RequestCounters) -> dict[tuple[str, ...], float]:
    return {
        labels: value for (name, labels), value in collected(counters).items() if name == "cspd_http_requests_total"
    }


def test_requests_are_told_apart_by_listener_protocol_method_and_class_of_status() -> None:
    counters = RequestCounters()
    http, https = counters.recorder("http", None), counters.recorder("https", None)
    for status in (200, 204, 404, 500):
        http(a_request(), Response(status), 0.001, a_route("ocsp"))
    http(a_request("GET"), Response(200), 0.001, a_route("ocsp"))
    https(a_request(), Response(200), 0.001, a_route("acme"))
    assert counts(counters) == {
        ("http", "POST", "ocsp", "2xx"): 2.0,
        ("http", "POST", "ocsp", "4xx"): 1.0,
        ("http", "POST", "ocsp", "5xx"): 1.0,
        ("http", "GET", "ocsp", "2xx"): 1.0,
        ("https", "POST", "acme", "2xx"): 1.0,
    }


def test_durations_fall_into_buckets_that_add_up() -> None:
    counters = RequestCounters()
    record = counters.recorder("http", None)
    for seconds, status in ((0.0001, 200), (0.0005, 200), (0.02, 404), (100.0, 503)):
        record(a_request(), Response(status), seconds, a_route("ocsp"))
    found = collected(counters)
    name = "cspd_http_request_duration_seconds"
    at = {
        bound: found[f"{name}_bucket", (bound, "http", "ocsp")] for bound in ("0.0005", "0.01", "0.025", "60.0", "+Inf")
    }
    assert at == {"0.0005": 2, "0.01": 2, "0.025": 3, "60.0": 3, "+Inf": 4}
    assert found[f"{name}_count", ("http", "ocsp")] == 4
    assert abs(found[f"{name}_sum", ("http", "ocsp")] - 100.0206) < 1e-9
    assert list(BOUNDS) == sorted(BOUNDS)


def test_what_clients_make_up_does_not_become_a_label() -> None:
    counters = RequestCounters()
    server = Server(
        Route(methods=("GET",), path="/", handler=handle, protocol="p"), access_log=counters.recorder("l", None)
    )
    for sent in (b"GET /made-up/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)):
        server.connect().send(sent)
    server.connect().send(b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.connect().send(b"\x16\x03\x01")
    server.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert counts(counters) == {("l", "none", "none", "4xx"): 22.0, ("l", "GET", "p", "2xx"): 1.0}


def test_a_reload_goes_on_counting() -> None:
    counters = RequestCounters()
    counters.recorder("http", None)(a_request(), Response(200), 0.0, a_route("ocsp"))
    counters.recorder("http", None)(a_request(), Response(200), 0.0, a_route("ocsp"))
    assert collected(counters)["cspd_http_requests_total", ("http", "POST", "ocsp", "2xx")] == 2.0


class HearingLog(RequestLog):
    def __init__(self, *, only_failures: bool) -> None:
        super().__init__("http", only_failures=only_failures)
        self.heard: list[int] = []

    def __call__(self, request: Request | None, response: Response, seconds: float, route: Route | None = None) -> None:
        self.heard.append(response.status)


def test_the_request_log_hears_what_it_wants() -> None:
    heard = {}
    for only_failures in (True, False):
        log = HearingLog(only_failures=only_failures)
        record = RequestCounters().recorder("http", log)
        for status in (200, 399, 400, 503):
            record(a_request(), Response(status), 0.0, a_route("ocsp"))
        heard[only_failures] = log.heard
    assert heard == {True: [400, 503], False: [200, 399, 400, 503]}
