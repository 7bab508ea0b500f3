"""Started by test_http_server.py as ``twistd --nodaemon -y``: the HTTP package's listeners with a few handlers.

The environment's HTTP_SERVER is a JSON list of listeners; SIGHUP reads their TLS files again.
"""

import json
import os
import signal
from random import SystemRandom

from twisted.application.service import Application, Service
from twisted.internet import reactor  # noqa: TID251  # a program of its own
from twisted.internet.task import deferLater

from cspd.clock import SystemClock
from cspd.http.config import ListenerConfig
from tests.support.listener import Listener
from cspd.http.message import Request, Response, Route
from cspd.http.router import Router
from cspd.http.tls import ServerTLS, load_credentials

clock = SystemClock()


async def echo(request: Request) -> Response:
    return Response(200, request.body, ((b"x-method", request.method.encode()),))


async def show_client(request: Request) -> Response:
    return Response(200, b"|".join((request.client_certificate or b"", *request.client_chain)).hex().encode())


async def wait(request: Request) -> Response:
    await deferLater(reactor, float(request.query), lambda: None)
    return Response(200, b"waited")


async def large(request: Request) -> Response:
    return Response(200, b"x" * int(request.query))


router = Router(
    [
        Route(methods=("GET", "POST"), path="/echo", handler=echo),
        Route(methods=("POST",), path="/enroll", handler=echo, max_body_bytes=1 << 20),
        Route(methods=("GET",), path="/client", handler=show_client),
        Route(methods=("GET",), path="/wait", handler=wait),
        Route(methods=("GET",), path="/large", handler=large),
    ]
)
application = Application("http-server")
listeners = []
for text in json.loads(os.environ["HTTP_SERVER"]):
    config = ListenerConfig.model_validate(text)
    tls = None
    if config.tls is not None:
        tls = ServerTLS(load_credentials(config.tls, now=clock.now()), config.tls)
    listener = Listener(
        f"listener {len(listeners)}",
        config.address,
        router,
        config.limits,
        reactor=reactor,
        clock=clock,
        random=SystemRandom(),
        tls=tls,
    )
    listener.setServiceParent(application)
    listeners.append(listener)


def reload() -> None:
    for listener in listeners:
        if listener.tls is not None:
            listener.tls.replace(load_credentials(listener.tls.config, now=clock.now()), listener.tls.config)
    print("reloaded", flush=True)


class Announcement(Service):
    def startService(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))
        # The reactor's own SIGTERM makes twistd end by that signal instead of exit status 0 (R-PLAT-006).
        stop = lambda *_: reactor.callFromThread(reactor.stop)  # noqa: E731
        reactor.callWhenRunning(signal.signal, signal.SIGTERM, stop)
        reactor.callWhenRunning(print, "ready", *(listener.port for listener in listeners), flush=True)


Announcement().setServiceParent(application)
