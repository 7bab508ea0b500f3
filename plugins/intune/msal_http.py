"""MSAL's HTTP, sent by our own client: proxy, trust, limits and time-outs are those of ``[outbound]``.

MSAL runs in a thread of its own and blocks there; the request itself is the reactor's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from cspd.http.outbound.values import OutboundRequest, OutboundResponse, RequestFailed


class MSALResponse:
    """What MSAL calls ``msal.oauth2cli.http.Response``."""

    def __init__(self, response: OutboundResponse) -> None:
        self.status_code = response.status
        self.text = response.body.decode("utf-8", "replace")
        self.headers = dict(response.headers)

    def raise_for_status(self) -> None:
        """Raise RequestFailed for a status that is an error."""
        if self.status_code >= 400:
            raise RequestFailed(f"the login authority answers {self.status_code}")


class MSALHTTP:
    """What MSAL calls ``msal.oauth2cli.http.HttpClient``; ``send`` blocks until there is an answer."""

    def __init__(self, send: Callable[[OutboundRequest], OutboundResponse]) -> None:
        self._send = send

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> MSALResponse:
        """Send a form, or text as it is."""
        body = data if isinstance(data, str) else urlencode(data or {})
        sent = dict(headers or {})
        if not isinstance(data, str):
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        return self._request("POST", url, params, sent, body.encode())

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> MSALResponse:
        """Fetch."""
        return self._request("GET", url, params, dict(headers or {}), b"")

    def close(self) -> None:
        """Nothing is kept open."""

    def _request(
        self, method: str, url: str, params: Mapping[str, str] | None, headers: dict[str, str], body: bytes
    ) -> MSALResponse:
        if params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
        shown = tuple((name, str(value)) for name, value in headers.items())
        return MSALResponse(self._send(OutboundRequest(method=method, url=url, headers=shown, body=body)))
