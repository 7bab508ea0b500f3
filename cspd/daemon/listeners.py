"""The open ports, and how they change hands at a reload.

A port stays open as long as its address is configured. The factory that answers on it adopts the new configuration for
its next requests, connections and all; where it cannot (a listener changes to or from TLS), another takes its place and
the connections of the former one finish their request and are closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IPushProducer,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure


class ServingFactory(Protocol):
    """A protocol factory that can change what it serves, and finish what it has begun."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See :class:`twisted.internet.interfaces.IProtocolFactory`."""
        ...

    def adopt(self, other: Any) -> bool:
        """Serve as ``other`` would from the next request on; False if that needs other connections."""
        ...

    def tune(self, port: Any) -> None:
        """Set the options of the listening port (an IListeningPort) that the configuration speaks of."""
        ...

    def drain(self) -> Deferred[None]:
        """Close idle connections, let running requests end, and fire when all are closed or the grace is over."""
        ...


Address = tuple[str, int] | Path
"""An IP address and a port, or the path of a Unix socket."""


class CannotListen(Exception):
    """A port cannot be bound; the text names listener, endpoint and reason (R-PLAT-002)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A listener as the configuration wants it."""

    name: str
    address: Address

    @property
    def place(self) -> str:
        """The address as people write it."""
        if isinstance(self.address, Path):
            return str(self.address)
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Switch(Factory):
    """Gives each new connection to the factory that is current."""

    noisy = False

    def __init__(self) -> None:
        self.current: ServingFactory | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """None closes the connection: nobody is to be served yet, or any more."""
        return None if self.current is None else self.current.buildProtocol(addr)


@dataclass(slots=True)
class _Open:
    wanted: Wanted
    port: Any
    """An IListeningPort."""
    switch: _Switch

    def pause(self) -> None:
        """Let clients wait in the kernel's queue; a port of tests cannot, and need not."""
        if IPushProducer.providedBy(self.port):
            self.port.pauseProducing()

    def resume(self) -> None:
        if IPushProducer.providedBy(self.port):
            self.port.resumeProducing()


class Listeners:
    """Opens, exchanges and closes ports. All calls in the reactor thread."""

    _log = Logger()

    def __init__(self, endpoint: Callable[[Address], IStreamServerEndpoint]) -> None:
        """``endpoint`` makes the server endpoint of an address."""
        self._endpoint = endpoint
        self._open: dict[Address, _Open] = {}
        self._bound: dict[Address, _Open] = {}
        self._draining = 0
        self._waiting: list[Deferred[None]] = []

    def bind(self, wanted: Sequence[Wanted]) -> None:
        """Bind what is wanted and not open yet, without accepting connections; raises CannotListen, then binds none."""
        try:
            for each in wanted:
                if each.address not in self._open and each.address not in self._bound:
                    self._bound[each.address] = self._bind(each)
        except CannotListen:
            self.unbind()
            raise

    def unbind(self) -> None:
        """Close what :meth:`bind` bound and nobody serves."""
        for opened in self._bound.values():
            self._close(opened)
        self._bound.clear()

    def serve(self, factories: Sequence[tuple[Wanted, ServingFactory]]) -> None:
        """Serve exactly these; each has been bound, now or before.

        Ports that are not among them are closed. Factories that are replaced drain by themselves.
        """
        self._open.update(self._bound)
        self._bound.clear()
        kept = {wanted.address for wanted, _ in factories}
        for address in [address for address in self._open if address not in kept]:
            opened = self._open.pop(address)
            self._close(opened)
            self._retire(opened)
        for wanted, factory in factories:
            opened = self._open[wanted.address]
            opened.wanted = wanted
            factory.tune(opened.port)
            if opened.switch.current is None or not opened.switch.current.adopt(factory):
                self._retire(opened)
                opened.switch.current = factory
                opened.resume()

    async def stop(self) -> None:
        """Stop accepting, then wait until all connections are done, the retired ones too."""
        self.unbind()
        for opened in self._open.values():
            self._close(opened)
            self._retire(opened)
        self._open.clear()
        await self.drained()

    async def drained(self) -> None:
        """Wait until every connection that was to end has ended."""
        while self._draining:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting

    @property
    def addresses(self) -> Mapping[str, Any]:
        """The address that each listener is bound to."""
        return {opened.wanted.name: opened.port.getHost() for opened in self._open.values()}

    def _bind(self, wanted: Wanted) -> _Open:
        switch = _Switch()
        results: list[Any] = []
        try:
            endpoint: Any = self._endpoint(wanted.address)
            listening: Deferred[IListeningPort] = endpoint.listen(switch)
        except Exception as error:
            raise _cannot_listen(wanted, error) from error
        listening.addBoth(results.append)
        if not results:
            listening.cancel()
            raise CannotListen(f'listener "{wanted.name}" cannot listen on {wanted.place}: it does not answer')
        if isinstance(results[0], Failure):
            raise _cannot_listen(wanted, results[0].value)
        opened = _Open(wanted, results[0], switch)
        opened.pause()
        return opened

    def _close(self, opened: _Open) -> None:
        closing = opened.port.stopListening()
        if isinstance(closing, Deferred):
            self._follow(closing, f"closing {opened.wanted.place}")

    def _retire(self, opened: _Open) -> None:
        factory, opened.switch.current = opened.switch.current, None
        if factory is not None:
            self._follow(factory.drain(), f"draining {opened.wanted.place}")

    def _follow(self, work: Deferred[Any], what: str) -> None:
        self._draining += 1

        def ended(result: object) -> None:
            if isinstance(result, Failure):
                self._log.failure("{what} failed", failure=result, what=what)
            self._draining -= 1
            if not self._draining:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

        work.addBoth(ended)


def _cannot_listen(wanted: Wanted, error: BaseException | None) -> CannotListen:
    reason = getattr(error, "socketError", error)
    text = getattr(reason, "strerror", None) or str(reason)
    return CannotListen(f'listener "{wanted.name}" cannot listen on {wanted.place}: {text}')
