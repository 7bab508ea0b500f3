"""The HTTP floor: our server against twisted.web with the same answer, on the same core, in the same run.

wrk loads each in turn for ``--seconds``, seven rounds, from another core where there is one. What counts is the median
of the ratios; the aim is 3 to 1. On a machine that does other work too, look at the CPU time each server spent on a
request: it does not depend on how much of the core it got.

Usage: ``python -m bench.http_floor [--seconds 1] [--connections 12]``
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from bench.load import cpu_seconds, pinned

BODY = b"x" * 64
GOAL = 3
CLIENT_HEADERS = {"User-Agent": "Microsoft-CryptoAPI/10.0", "Accept": "*/*", "Cache-Control": "max-age = 3600"}
"""What the commonest client of a status service sends besides Host."""
POST_SCRIPT = (
    'wrk.method = "POST"\nwrk.body = string.rep("r", 80)\nwrk.headers["Content-Type"] = "application/ocsp-request"\n'
)


def serve_cspd() -> None:
    from twisted.internet import reactor  # noqa: TID251  # a program of its own

    from cspd.clock import SystemClock
    from cspd.http.config import Limits
    from cspd.http.message import Request, Response, Route
    from cspd.http.router import Router
    from tests.support.listener import Listener

    async def handle(request: Request) -> Response:
        return Response(200, BODY, ((b"content-type", b"application/ocsp-response"),))

    router = Router([Route(methods=("GET", "POST"), path="/status", handler=handle)])
    listener = Listener(
        "bench", ("127.0.0.1", 0), router, Limits(), reactor=reactor, clock=SystemClock(), random=SystemRandom()
    )
    listener.startService()
    print(listener.port, flush=True)
    reactor.run()


def serve_twisted_web() -> None:
    from twisted.internet import reactor  # noqa: TID251  # a program of its own
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    class Status(Resource):
        isLeaf = True

        def render_GET(self, request):  # type: ignore[no-untyped-def]
            request.setHeader(b"content-type", b"application/ocsp-response")
            return BODY

        def render_POST(self, request):  # type: ignore[no-untyped-def]
            request.content.read()
            request.setHeader(b"content-type", b"application/ocsp-response")
            return BODY

    class QuietSite(Site):
        def log(self, request: object) -> None:
            """Ours writes no access log here either."""

    root = Resource()
    root.putChild(b"status", Status())
    port = reactor.listenTCP(0, QuietSite(root), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


SERVERS = {"cspd": serve_cspd, "twisted.web": serve_twisted_web}


@contextmanager
def running(server: str) -> Iterator[tuple[str, int]]:
    """Start a server in a process of its own; gives its URL and process id."""
    command = [*pinned(0), sys.executable, "-m", "bench.http_floor", "--serve", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/status", process.pid
        finally:
            process.terminate()


def load(server: tuple[str, int], seconds: int, connections: int, script: Path | None) -> tuple[float, float]:
    """Requests per second, and CPU microseconds of the server for each."""
    url, process = server
    before = cpu_seconds(process)
    headers = [f"-H{name}: {value}" for name, value in CLIENT_HEADERS.items()]
    options = ["-t1", f"-c{connections}", f"-d{seconds}", *(["-s", str(script)] if script else [])]
    output = subprocess.run(
        [*pinned(1), "wrk", *options, *headers, url], check=True, capture_output=True, text=True
    ).stdout
    assert "Non-2xx" not in output, output
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    count = re.search(r"(\d+) requests in", output)
    assert rate, output
    assert count, output
    return float(rate[1]), (cpu_seconds(process) - before) / int(count[1]) * 1e6


def compare(seconds: int, connections: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running("cspd") as ours, running("twisted.web") as peer:
        script = Path(folder) / "post.lua"
        script.write_text(POST_SCRIPT)
        for method, lua in (("GET", None), ("POST", script)):
            rounds = []
            for _ in range(7):  # in turn, so that a machine that slows down slows both
                rounds.append([load(server, seconds, connections, lua) for server in (ours, peer)])
            ratio = statistics.median(mine[0] / other[0] for mine, other in rounds)
            cpu_ratio = statistics.median(other[1] / mine[1] for mine, other in rounds)
            for name, figures in zip(SERVERS, zip(*rounds, strict=True), strict=True):
                rate, cpu = (statistics.median(values) for values in zip(*figures, strict=True))
                print(f"{method:4}  {name:11}  {rate:8.0f} requests/s  {cpu:6.1f} us of CPU each")
            verdict = "met" if ratio >= GOAL else "MISSED"
            print(f"{method:4}  ratio {ratio:.2f} by time, {cpu_ratio:.2f} by CPU; goal {GOAL}: {verdict}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", choices=SERVERS)
    arguments.add_argument("--seconds", type=int, default=1)
    arguments.add_argument("--connections", type=int, default=12)
    options = arguments.parse_args()
    if options.serve:
        SERVERS[options.serve]()
    else:
        compare(options.seconds, options.connections)


if __name__ == "__main__":
    main()
