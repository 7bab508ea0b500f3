"""Where Intune's services of a tenant are: asked of Graph, kept until a call to one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cspd.refusals import Unavailable

MAX_SERVICES = 1000


class Services:
    """Finds services by their name, whatever its case."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """``fetch`` gives Graph's answer, parsed; raises Unavailable."""
        self._fetch = fetch
        self._found: Mapping[str, str] = {}
        self._waiting: list[Deferred[Mapping[str, str]]] = []

    async def find(self, name: str) -> str:
        """The URL of a service, without a slash at its end; raises Unavailable, also for one that is not listed."""
        found = self._found or await self._ask()
        url = found.get(name.lower())
        if url is None:
            self.forget()
            raise Unavailable("Intune cannot be asked", detail=f"Graph lists no service {name}")
        return url

    def forget(self) -> None:
        """Ask again next time: a service did not answer where it should be."""
        self._found = {}

    async def _ask(self) -> Mapping[str, str]:
        """Whoever asks while Graph is being asked waits for the same answer."""
        waiting: Deferred[Mapping[str, str]] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            Deferred.fromCoroutine(self._refresh()).addBoth(self._tell)
        return await waiting

    async def _refresh(self) -> Mapping[str, str]:
        try:
            found = services_of(await self._fetch())
        except ValueError as error:
            raise Unavailable("Intune cannot be asked", detail=f"Graph's answer: {error}") from error
        self._found = found
        return found

    def _tell(self, result: Mapping[str, str] | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:  # else who asked has left
                if isinstance(result, Failure):
                    each.errback(result)
                else:
                    each.callback(result)


def services_of(answer: Any) -> Mapping[str, str]:
    """Names in lower case and URLs of Graph's answer; raises ValueError for one that is none.

    Graph says ``providerName``, and its predecessor said ``serviceName``.
    """
    listed = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_SERVICES:
        raise ValueError("no list of services")
    found: dict[str, str] = {}
    for each in listed:
        if not isinstance(each, dict):
            raise ValueError("a service is no object")
        name, uri = each.get("providerName") or each.get("serviceName"), each.get("uri")
        # Tokens go there.
        if isinstance(name, str) and isinstance(uri, str) and uri.startswith("https://"):
            found[name.lower()] = uri.rstrip("/")
    return found
