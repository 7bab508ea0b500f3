"""Calls of Intune's services: authenticated, found by Graph, tried again where that helps.

no connection, 5xx, 429   again after half a second, then a second, or as Retry-After says if that is soon
401                       once more with a new token
403, 404, other           final, as is an answer that is not JSON

After each failure the service is looked up anew: its URL differs by tenant, and Microsoft moves tenants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any
from uuid import UUID

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from cspd import __version__
from cspd.clock import Clock
from cspd.http.outbound.values import Outbound, OutboundRequest, OutboundResponse, RequestFailed
from cspd.refusals import Unavailable
from plugins.intune.codec import NotOfTheInterface, Object, decode_json, encode_json
from plugins.intune.condition import Condition
from plugins.intune.discovery import Services
from plugins.intune.endpoints import Endpoints
from plugins.intune.tokens import CredentialRefused, Tokens

CALLER = f"cspd/{__version__}"
"""Who we are: ``callerInfo`` and ``User-Agent``."""
ATTEMPTS = 3
FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=10)
"""A device waits meanwhile; what takes longer is for it to ask again."""
LAST_BEGIN = timedelta(seconds=20)
"""No attempt begins later than this after the first."""
BUSY = "Intune is too busy"
NO_ANSWER = "Intune cannot be asked"


class _TryAgain(Exception):
    """This attempt failed, and another may not."""

    def __init__(self, detail: str, *, pause: timedelta | None = None, reason: str = NO_ANSWER) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pause = pause
        """Given by Retry-After."""
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of Intune's services."""

    name: str
    """As Graph lists it."""
    api_version: str


class Calls:
    """Calls services, as one application of one tenant."""

    def __init__(
        self,
        *,
        reactor: Any,
        clock: Clock,
        random: Random,
        outbound: Outbound,
        tokens: Tokens,
        endpoints: Endpoints,
        condition: Condition,
    ) -> None:
        """``reactor`` is an IReactorTime."""
        self._reactor = reactor
        self._clock = clock
        self._random = random
        self._outbound = outbound
        self._tokens = tokens
        self._endpoints = endpoints
        self._condition = condition
        self._services = Services(self._fetch_services)
        self._running: set[Deferred[Any]] = set()
        self._is_stopped = False

    async def post(self, service: Service, path: str, body: Object, *, attempts: int = ATTEMPTS) -> Any:
        """The answer, parsed; raises Unavailable, with the reason for operators as its detail."""
        running = Deferred.fromCoroutine(self._repeatedly(lambda: self._post(service, path, body), attempts))
        self._running.add(running)
        try:
            answer = await running
        except CancelledError:
            if self._is_stopped:
                raise Unavailable(NO_ANSWER, detail="the server is stopping") from None
            raise
        except Unavailable as error:
            self._condition.note_failure(error)
            raise
        finally:
            self._running.discard(running)
        self._condition.note_answer()
        return answer

    def stop(self) -> None:
        """End the calls that wait for an answer: whoever stops must not wait for Microsoft."""
        self._is_stopped = True
        for running in tuple(self._running):
            running.cancel()

    async def _repeatedly(self, attempt: Callable[[], Any], attempts: int) -> Any:
        begun = self._reactor.seconds()
        pause = FIRST_PAUSE
        for number in range(1, attempts + 1):
            try:
                return await attempt()
            except _TryAgain as failure:
                self._services.forget()
                wait = pause if failure.pause is None else failure.pause
                elapsed = timedelta(seconds=self._reactor.seconds() - begun)
                if number == attempts or wait > LONGEST_PAUSE or elapsed + wait > LAST_BEGIN:
                    raise Unavailable(
                        failure.reason, detail=failure.detail, retry_after=max(wait, timedelta(seconds=30))
                    ) from failure
                pause *= 2
                await deferLater(self._reactor, wait.total_seconds())
            except Unavailable:
                self._services.forget()
                raise
        raise AssertionError("unreachable")

    async def _post(self, service: Service, path: str, body: Object) -> Any:
        url = await self._services.find(service.name)
        headers = (
            ("Content-Type", "application/json; charset=utf-8"),
            ("Accept", "application/json"),
            ("api-version", service.api_version),
        )
        return await self._send("POST", f"{url}/{path}", self._endpoints.intune_scope, headers, encode_json(body))

    async def _fetch_services(self) -> Any:
        headers = (("Accept", "application/json"),)
        return await self._send("GET", self._endpoints.services_url, self._endpoints.graph_scope, headers)

    async def _send(
        self, method: str, url: str, scope: str, headers: tuple[tuple[str, str], ...], body: bytes = b""
    ) -> Any:
        response = await self._send_once(method, url, scope, headers, body)
        if response.status == 401:
            # A token that MSAL has for good may be one that was withdrawn.
            await self._tokens.forget()
            response = await self._send_once(method, url, scope, headers, body)
        if response.status in (401, 403):
            raise CredentialRefused(
                NO_ANSWER,
                detail=f"{_place(url)} answers {response.status}: the application lacks a permission, or its consent",
            )
        if response.status == 429 or response.status >= 500:
            pause = self._retry_after(response)
            raise _TryAgain(f"{_place(url)} answers {response.status}", pause=pause, reason=BUSY)
        if not 200 <= response.status < 300:
            raise Unavailable(NO_ANSWER, detail=f"{_place(url)} answers {response.status}")
        try:
            return decode_json(response.body)
        except NotOfTheInterface as error:
            raise Unavailable(NO_ANSWER, detail=f"{_place(url)}: {error}") from error

    async def _send_once(
        self, method: str, url: str, scope: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> OutboundResponse:
        try:
            token = await self._tokens.get(scope)
        except CredentialRefused:
            raise
        except Unavailable as error:
            raise _TryAgain(error.detail or error.reason) from error
        own = (
            ("Authorization", f"Bearer {token}"),
            ("User-Agent", CALLER),
            ("client-request-id", str(UUID(int=self._random.getrandbits(128), version=4))),
        )
        try:
            return await self._outbound.send(
                OutboundRequest(method=method, url=url, headers=(*own, *headers), body=body)
            )
        except RequestFailed as error:
            raise _TryAgain(str(error)) from error
        except ValueError as error:  # a URL of Graph's that is none
            raise Unavailable(NO_ANSWER, detail=f"{_place(url)}: {error}") from error

    def _retry_after(self, response: OutboundResponse) -> timedelta | None:
        """RFC 9110, 10.2.3: seconds, or a date."""
        value = (response.header("retry-after") or "").strip()
        if value.isdecimal() and len(value) < 7:
            return timedelta(seconds=int(value))
        try:
            return max(parsedate_to_datetime(value) - self._clock.now(), timedelta(0))
        except (ValueError, TypeError, IndexError):
            return None


def _place(url: str) -> str:
    """A URL without what may be long."""
    return url.partition("?")[0][:200]
