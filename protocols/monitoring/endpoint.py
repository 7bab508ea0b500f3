"""HTTP of monitoring: paths, who may see what, status codes."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from cspd.health import HealthState
from cspd.http.message import Request, Response, Route
from cspd.monitoring.interfaces import Monitor
from cspd.monitoring.report import HealthReport
from protocols.monitoring.codec import encode_report, encode_state

_HEADER_BYTES = 8192
"""Prometheus sends a long Accept header."""
_NOT_STORED = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class MonitoringEndpoint:
    """The routes ``/health`` and ``/metrics``."""

    def __init__(
        self, monitor: Monitor, *, trusted: Sequence[IPv4Network | IPv6Network], trust_client_certificates: bool
    ) -> None:
        self._monitor = monitor
        self._trusted = tuple(trusted)
        self._trust_client_certificates = trust_client_certificates

    def routes(self) -> Sequence[Route]:
        """GET, and with it HEAD."""
        handlers = {
            "/health": self.health,
            "/health/live": self.live,
            "/health/{system}": self.health_of,
            "/metrics": self.metrics,
        }
        return tuple(
            Route(methods=("GET",), path=path, handler=handler, max_header_bytes=_HEADER_BYTES)
            for path, handler in handlers.items()
        )

    async def health(self, request: Request) -> Response:
        """Every part: 200 while all work, if need be degraded; 503 if one has failed (R-PLAT-087)."""
        return self._tell(request, await self._monitor.health())

    async def health_of(self, request: Request) -> Response:
        """One part or system by the same rule; 404 for one that does not exist, and to those who may not see parts."""
        if self._is_trusted(request):
            report = (await self._monitor.health()).of(request.parameters["system"])
            if report.parts:
                return self._tell(request, report)
        return Response(404, b"no such part\n", (_TEXT, _NOT_STORED))

    async def live(self, request: Request) -> Response:
        """200: the process takes requests and answers them, and nothing else is looked at."""
        return Response(200, encode_state(HealthState.OK), (_JSON, _NOT_STORED))

    async def metrics(self, request: Request) -> Response:
        """The metrics, for those who may see them."""
        if not self._is_trusted(request):
            return Response(403, b"metrics are shown to [protocols.monitoring] trusted alone\n", (_TEXT, _NOT_STORED))
        page = await self._monitor.metrics(request.header(b"accept") or "")
        return Response(200, page.body, ((b"content-type", page.content_type.encode("ascii")), _NOT_STORED))

    def _tell(self, request: Request, report: HealthReport) -> Response:
        status = 503 if report.state is HealthState.FAILED else 200
        body = encode_report(report) if self._is_trusted(request) else encode_state(report.state)
        return Response(status, body, (_JSON, _NOT_STORED))

    def _is_trusted(self, request: Request) -> bool:
        if self._trust_client_certificates and request.client_certificate is not None:
            return True
        try:
            peer = ip_address(request.peer)
        except ValueError:  # no network address: nobody who is configured
            return False
        return any(peer in network for network in self._trusted)
