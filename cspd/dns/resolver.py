"""Name look-ups: the configured nameservers and no others, absolute names, bounded time.

A small client of our own, because ``twisted.names`` believes an answer from any address to any question once the
16-bit id fits. Here each question has its own socket (and so its own random port), connected to the nameserver, and an
answer must repeat the question. What does not fit is ignored and the wait goes on, as for a forged answer it should.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import BindError, ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from cspd.dns.messages import (
    CNAME,
    NOERROR,
    NXDOMAIN,
    Answer,
    DNSMessageError,
    Name,
    Query,
    Record,
    decode_answer,
    encode_query,
    name_of,
)

TRY_TIMEOUT = 2.0
"""Seconds that one nameserver has for one answer."""
ROUNDS = 2
"""How often all nameservers are asked before a look-up fails."""
MAX_ALIASES = 10
"""CNAMEs followed from one name."""
_CODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}

Nameserver = tuple[str, int]


class LookupFailed(Exception):
    """No usable answer; the text is fit for the client."""

    may_pass_later = True


class NoSuchName(LookupFailed):
    """The name does not exist (NXDOMAIN)."""

    may_pass_later = False


class AliasLoop(LookupFailed):
    """CNAMEs lead in a circle, or too far."""

    may_pass_later = False


def system_nameservers(path: Path = Path("/etc/resolv.conf")) -> tuple[Nameserver, ...]:
    """The nameservers of resolv.conf; the local one if it names none (resolv.conf(5))."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        text = ""
    words = [line.split() for line in text.splitlines()]
    named = [line[1] for line in words if len(line) >= 2 and line[0] == "nameserver" and _is_address(line[1])]
    return tuple((address, 53) for address in named) or (("127.0.0.1", 53),)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Resolver:
    """Asks recursive nameservers."""

    def __init__(self, *, reactor: Any, random: Random, nameservers: Callable[[], Sequence[Nameserver]]) -> None:
        self._reactor = reactor
        self._random = random
        self._nameservers = nameservers

    async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
        """The data of the records of that type, aliases followed; empty if the name has none.

        Raises LookupFailed when no nameserver answers or all answer with an error, NoSuchName, AliasLoop.
        """
        try:
            wanted = name_of(name)
        except ValueError as error:
            raise NoSuchName(f"{name} is not a DNS name") from error
        seen = {wanted}
        while True:
            answer = await self._ask(wanted, type)
            found, data = _follow(answer.records, wanted, type, seen)
            if data or found == wanted:
                if answer.code == NXDOMAIN and not data:
                    raise NoSuchName(f"DNS: {name} does not exist")
                return data
            if answer.code == NXDOMAIN:
                raise NoSuchName(f"DNS: {name} is an alias of a name that does not exist")
            wanted = found  # the answer ended with an alias: ask for that

    async def _ask(self, name: Name, type: int) -> Answer:
        reasons: list[str] = []
        for nameserver in tuple(self._nameservers()) * ROUNDS:
            query = Query(self._random.getrandbits(16), name, type)
            try:
                answer = await self._exchange(nameserver, query)
            except (DeferredTimeout, BindError, ConnectError, ConnectionClosed, OSError, DNSMessageError) as error:
                reasons.append(_describe(error))
                continue
            if answer.code in (NOERROR, NXDOMAIN):
                return answer
            reasons.append(_CODES.get(answer.code, f"error {answer.code}"))
        asked = b".".join(name).decode("ascii", "replace")
        raise LookupFailed(f"DNS: no answer for {asked}: {', '.join(dict.fromkeys(reasons))}")

    async def _exchange(self, nameserver: Nameserver, query: Query) -> Answer:
        answer = await self._by_udp(nameserver, query)
        return await self._by_tcp(nameserver, query) if answer.is_truncated else answer

    async def _by_udp(self, nameserver: Nameserver, query: Query) -> Answer:
        exchange = _DatagramExchange(nameserver, query)
        port = self._reactor.listenUDP(0, exchange, interface="::" if ":" in nameserver[0] else "")
        try:
            return await exchange.answer.addTimeout(TRY_TIMEOUT, self._reactor)
        finally:
            if port.connected:
                port.stopListening()

    async def _by_tcp(self, nameserver: Nameserver, query: Query) -> Answer:
        endpoint: Any = (TCP6ClientEndpoint if ":" in nameserver[0] else TCP4ClientEndpoint)(
            self._reactor, *nameserver, timeout=TRY_TIMEOUT
        )
        try:
            exchange: _StreamExchange = await endpoint.connect(_StreamExchangeFactory(query))
        except ConnectingCancelledError as error:  # an endpoint has a name of its own for it, which nobody expects
            raise CancelledError from error
        try:
            return await exchange.answer.addTimeout(TRY_TIMEOUT, self._reactor)
        finally:
            exchange.transport.abortConnection()


class _DatagramExchange(DatagramProtocol):
    noisy = False  # nobody wants a log line for each query
    transport: Any

    def __init__(self, nameserver: Nameserver, query: Query) -> None:
        self._nameserver = nameserver
        self._query = query
        self.answer: Deferred[Answer] = Deferred()

    def startProtocol(self) -> None:
        self.transport.connect(*self._nameserver)
        self.transport.write(encode_query(self._query))

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        try:
            answer = decode_answer(datagram, self._query)
        except DNSMessageError:
            return  # maybe forged: the true answer may still come
        if not self.answer.called:
            self.answer.callback(answer)

    def connectionRefused(self) -> None:
        self._fail()

    def stopProtocol(self) -> None:
        """The epoll reactor closes a datagram port that was refused, and says it this way only."""
        self._fail()

    def _fail(self) -> None:
        if not self.answer.called:
            self.answer.errback(ConnectionRefusedError())


class _StreamExchange(Int16StringReceiver):
    transport: Any

    def __init__(self, query: Query) -> None:
        self._query = query
        self.answer: Deferred[Answer] = Deferred()

    def connectionMade(self) -> None:
        query = encode_query(self._query)
        self.transport.write(len(query).to_bytes(2) + query)

    def stringReceived(self, message: bytes) -> None:
        if self.answer.called:
            return
        try:
            self.answer.callback(decode_answer(message, self._query))
        except DNSMessageError:
            self.answer.errback()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answer.called:
            self.answer.errback(reason)


class _StreamExchangeFactory(Factory):
    noisy = False

    def __init__(self, query: Query) -> None:
        self._query = query

    def buildProtocol(self, addr: Any) -> _StreamExchange:
        return _StreamExchange(self._query)


def _follow(records: Sequence[Record], name: Name, type: int, seen: set[Name]) -> tuple[Name, tuple[bytes, ...]]:
    """Where the aliases in ``records`` lead from ``name``, and the data there."""
    aliases = {record.name: record.target for record in records if record.type == CNAME}
    while True:
        data = tuple(record.data for record in records if record.type == type and record.name == name)
        if data or name not in aliases:
            return name, data
        name = aliases[name]
        if name in seen or len(seen) > MAX_ALIASES:
            raise AliasLoop("DNS: aliases lead in a circle or too far")
        seen.add(name)


def _describe(error: Exception) -> str:
    if isinstance(error, DeferredTimeout):
        return "no answer in time"
    return "an answer that is not DNS" if isinstance(error, DNSMessageError) else "the nameserver cannot be reached"
