"""The HTTP floor: our server against twisted.web with the same answer, on the same core, in the same run.

wrk loads each in turn for ``--seconds``, three rounds, from another core where there is one. What counts is the ratio;
the aim is 3 to 1. Usage: ``python bench/http_floor.py [--seconds 3] [--connections 32]``
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

BODY = b"x" * 64
POST_SCRIPT = (
    'wrk.method = "POST"\nwrk.body = string.rep("r", 80)\nwrk.headers["Content-Type"] = "application/ocsp-request"\n'
)


def serve_cspd() -> None:
    from twisted.internet import reactor  # noqa: TID251  # a program of its own

    from cspd.clock import SystemClock
    from cspd.http.config import Limits
    from cspd.http.listener import Listener
    from cspd.http.message import Request, Response, Route
    from cspd.http.router import Router

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


def pinned(core: int) -> list[str]:
    has_two_cores = (os.cpu_count() or 1) > 1 and shutil.which("taskset")
    return ["taskset", "-c", str(core)] if has_two_cores else []


@contextmanager
def running(server: str) -> Iterator[str]:
    """Start a server in a process of its own; gives its URL."""
    command = [*pinned(0), sys.executable, __file__, "--serve", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/status"
        finally:
            process.terminate()


def requests_per_second(url: str, seconds: int, connections: int, script: Path | None) -> float:
    options = ["-t1", f"-c{connections}", f"-d{seconds}", *(["-s", str(script)] if script else [])]
    output = subprocess.run([*pinned(1), "wrk", *options, url], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in output, output
    found = re.search(r"Requests/sec:\s*([\d.]+)", output)
    assert found, output
    return float(found[1])


def compare(seconds: int, connections: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running("cspd") as ours, running("twisted.web") as peer:
        script = Path(folder) / "post.lua"
        script.write_text(POST_SCRIPT)
        for method, lua in (("GET", None), ("POST", script)):
            rounds = []
            for _ in range(3):  # in turn, so that a machine that slows down slows both
                pair = [requests_per_second(url, seconds, connections, lua) for url in (ours, peer)]
                rounds.append(pair)
            ratio = statistics.median(mine / other for mine, other in rounds)
            mine, other = (statistics.median(values) for values in zip(*rounds, strict=True))
            print(f"{method:4}  cspd {mine:8.0f}/s  twisted.web {other:8.0f}/s  ratio {ratio:.2f} (aim: 3)")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", choices=SERVERS)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--connections", type=int, default=32)
    options = arguments.parse_args()
    if options.serve:
        SERVERS[options.serve]()
    else:
        compare(options.seconds, options.connections)


if __name__ == "__main__":
    main()
