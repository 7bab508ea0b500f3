"""pebble-challtestsrv: the DNS that the server asks, and an http-01 responder for clients that have none."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.support.processes import Process, accepts_connections, free_port, program, wait_until


class ChallengeTestServer:
    """Every name resolves to 127.0.0.1 unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.dns_port, self.http_port, self.management_port, tls_port = (free_port() for _ in range(4))
        self._process = Process(
            [
                program("pebble-challtestsrv"),
                *("-defaultIPv4", "127.0.0.1"),
                *("-defaultIPv6", ""),
                *("-dns01", f"127.0.0.1:{self.dns_port}"),
                *("-http01", f"127.0.0.1:{self.http_port}"),
                *("-https01", ""),
                *("-tlsalpn01", f"127.0.0.1:{tls_port}"),
                *("-management", f"127.0.0.1:{self.management_port}"),
            ],
            log=folder / "challtestsrv.log",
        )
        wait_until(
            lambda: accepts_connections(self.management_port) and accepts_connections(self.http_port),
            what="pebble-challtestsrv",
        )

    @property
    def nameserver(self) -> str:
        """Its DNS, as ``<IP>:<port>``."""
        return f"127.0.0.1:{self.dns_port}"

    @property
    def management(self) -> str:
        """The base URL of its management interface."""
        return f"http://127.0.0.1:{self.management_port}"

    def tell(self, command: str, **arguments: object) -> None:
        """One management command, for example ``tell("set-txt", host="_acme-challenge.a.test.", value="x")``."""
        request = urllib.request.Request(f"{self.management}/{command}", json.dumps(arguments).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def stop(self) -> None:
        """End it."""
        self._process.stop()
