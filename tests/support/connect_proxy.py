"""An HTTP proxy on loopback that knows CONNECT alone, and remembers whom it was asked for."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Self

from tests.support.processes import free_port

_REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


class ConnectProxy:
    """Serves in a thread until it is left."""

    def __init__(self, *, authorization: str) -> None:
        """``authorization`` is what Proxy-Authorization has to be."""
        self.port = free_port()
        self.authorization = authorization
        self.targets: list[str] = []
        """Whom it was asked for by somebody it knows."""
        self.strangers = 0
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """For ``[outbound]``."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _server(proxy: ConnectProxy) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 30

        def handle(self) -> None:
            method, target, _ = self.rfile.readline().decode("latin-1").split(" ", 2)
            headers: dict[str, str] = {}
            while (line := self.rfile.readline().decode("latin-1").strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            if method != "CONNECT" or headers.get("proxy-authorization") != proxy.authorization:
                proxy.strangers += 1
                self.wfile.write(_REFUSAL)
                return
            proxy.targets.append(target)
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), 10) as upstream:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _pass_on(self.connection, upstream)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed."""

    return Server(("127.0.0.1", proxy.port), Handler)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Until either ends."""
    while True:
        readable, _, _ = select.select([one, other], [], [], 60)
        if not readable:
            return
        for end in readable:
            if not (data := end.recv(65536)):
                return
            (other if end is one else one).sendall(data)
