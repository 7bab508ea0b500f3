"""The key service: one door to all keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.keys.deployment import Deployment
from cspd.keys.inspection import KeyInspection
from cspd.keys.providers import Provider, ProviderHealth
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey
from cspd.refusals import NotFound, Unavailable

T = TypeVar("T")


@dataclass(slots=True)
class Counters:
    """What a provider did since the start; for metrics to read."""

    signatures: int = 0
    """Works that ended well."""
    failures: int = 0
    """Works that raised."""
    seconds: float = 0.0
    """Time in all works together, waiting for a thread included."""
    longest: float = 0.0
    """The longest of them, in seconds."""


class KeyService:
    """Implements :class:`cspd.keys.interfaces.Keys` over its providers."""

    _log = Logger()

    def __init__(
        self,
        *,
        providers: Sequence[Provider],
        default: str,
        monotonic: Callable[[], float],
        deployment: Deployment | None = None,
    ) -> None:
        """``monotonic`` gives seconds that only grow, such as ``reactor.seconds``.

        ``deployment`` stops a start whose tokens are not those that hold the keys in use.
        """
        self._providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._default = default
        self._monotonic = monotonic
        self._deployment = deployment
        self.counters: Mapping[str, Counters] = {name: Counters() for name in self._providers}

    async def start(self) -> None:
        """Start all providers at the same time.

        Raises what tells that the configuration cannot work (:class:`cspd.keys.encryption.WrongMasterKey`,
        :class:`cspd.keys.deployment.DeploymentChanged`); :meth:`stop` may be called then. A token that does not answer,
        or refuses its PIN, does not raise: it may come back, and a restart loop would use up the tries of its PIN. It
        shows in :meth:`health` and in the log.
        """
        if self._deployment is not None:
            await self._deployment.hold()
        starts = [Deferred.fromCoroutine(provider.start()) for provider in self._providers.values()]
        for start in starts:
            await start
        for health in self.health():
            if not health.available:
                self._log.error("keys: {name} is not available: {reason}", name=health.name, reason=health.reason)

    async def stop(self) -> None:
        """Finish the signatures that were begun or wait, then let the keys and sessions go."""
        stops = [Deferred.fromCoroutine(provider.stop()) for provider in self._providers.values()]
        for stop in stops:
            await stop

    async def generate(
        self, key_type: KeyType, *, label: str, provider: str | None = None, decrypts: bool = False
    ) -> KeyReference:
        """See :class:`cspd.keys.interfaces.Keys`."""
        return await self._named(provider or self._default).generate(key_type, label, decrypts=decrypts)

    async def public_key(self, reference: KeyReference) -> PublicKey:
        """See :class:`cspd.keys.interfaces.Keys`."""
        return await self._named(reference.provider).public_key(reference.identifier)

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        """See :class:`cspd.keys.interfaces.Keys`."""
        provider = self._named(reference.provider)
        counters = self.counters[reference.provider]
        begun = self._monotonic()
        try:
            result = await provider.sign(reference.identifier, work)
        except BaseException:
            counters.failures += 1
            raise
        seconds = self._monotonic() - begun
        counters.signatures += 1
        counters.seconds += seconds
        if seconds > counters.longest:
            counters.longest = seconds
        return result

    async def delete(self, reference: KeyReference) -> None:
        """See :class:`cspd.keys.interfaces.Keys`."""
        await self._named(reference.provider).delete(reference.identifier)

    async def list(self) -> Sequence[KeyDescription]:
        """See :class:`cspd.keys.interfaces.Keys`."""
        keys: list[KeyDescription] = []
        for provider in self._providers.values():
            try:
                keys.extend(await provider.list())
            except Unavailable as refusal:
                self._log.warn(
                    "keys: {name} cannot list its keys: {reason}", name=provider.name, reason=refusal.detail or refusal
                )
        return tuple(keys)

    def inspection(self, provider: str | None = None) -> KeyInspection:
        """Looks at a provider, the default one if not named; raises NotFound."""
        return self._named(provider or self._default)

    async def check(self) -> Sequence[ProviderHealth]:
        """Ask every provider now whether it can sign; for ``cspctl status`` and a periodic job."""
        return tuple([await provider.check() for provider in self._providers.values()])

    def health(self) -> Sequence[ProviderHealth]:
        """What the last use or check of each provider has shown."""
        return tuple(provider.health() for provider in self._providers.values())

    def queue_length(self, provider: str) -> int:
        """How many signatures wait for a thread of this provider."""
        return self._named(provider).pool.waiting

    def _named(self, name: str) -> Provider:
        try:
            return self._providers[name]
        except KeyError:
            raise NotFound(f"no key provider {name}", code="no-such-key-provider") from None


__all__ = ["Counters", "KeyService"]
