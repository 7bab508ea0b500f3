"""Which domain controllers there are: those of conf, or those that DNS names ([MS-ADTS] 6.3.2.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from cspd.dns.messages import AAAA, SRV, A, DNSMessageError, ServiceRecord, service_record
from cspd.dns.resolver import LookupFailed
from cspd.refusals import Unavailable
from plugins.active_directory.conversation import Controller

MAX_CONTROLLERS = 16
"""Of one domain: a large domain has hundreds, and nobody waits for so many."""


class Resolver(Protocol):
    """What is asked; :class:`cspd.dns.resolver.Resolver`."""

    async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
        """The data of the records of that type; raises LookupFailed."""
        ...


class Locator:
    """Finds the domain controllers of a domain, and the global catalogs of a forest."""

    def __init__(
        self, *, reactor: Any, resolver: Resolver, random: Random, timeout: float, find_addresses: bool
    ) -> None:
        """``timeout`` in seconds, for all look-ups of one question.

        With ``find_addresses`` the resolver also says where a host is; without it the operating system does.
        """
        self._reactor = reactor
        self._resolver = resolver
        self._random = random
        self._timeout = timeout
        self._find_addresses = find_addresses

    async def controllers(self, domain: str, port: int) -> tuple[Controller, ...]:
        """Those that know everything of a domain, in the order in which to ask; raises Unavailable."""
        return await self._within(self._located(f"_ldap._tcp.dc._msdcs.{domain}", port), domain)

    async def global_catalogs(self, forest: str, port: int) -> tuple[Controller, ...]:
        """Those that know something of every object of a forest; raises Unavailable."""
        return await self._within(self._located(f"_gc._tcp.{forest}", port), forest)

    async def hosts(self, names: Sequence[str], port: int) -> tuple[Controller, ...]:
        """The domain controllers that conf names; raises Unavailable."""
        return await self._within(self._placed(names, port), ", ".join(names))

    async def _within(self, work: Any, what: str) -> tuple[Controller, ...]:
        try:
            found: tuple[Controller, ...] = await Deferred.fromCoroutine(work).addTimeout(self._timeout, self._reactor)
        except (LookupFailed, DeferredTimeout, DNSMessageError) as error:
            detail = str(error) or f"no answer within {self._timeout:g} s"
            raise Unavailable("no domain controller can be found", detail=f"{what}: {detail}") from error
        if not found:
            raise Unavailable("no domain controller can be found", detail=f"{what}: DNS names none")
        return found

    async def _located(self, service: str, port: int) -> tuple[Controller, ...]:
        records = [service_record(data) for data in await self._resolver.lookup(service, SRV)]
        hosts = [record.target for record in self._in_order(records) if record.target]
        return await self._placed(list(dict.fromkeys(hosts))[:MAX_CONTROLLERS], port)

    async def _placed(self, hosts: Sequence[str], port: int) -> tuple[Controller, ...]:
        if not self._find_addresses:
            return tuple(Controller(host, port) for host in hosts)
        return tuple([Controller(host, port, address) for host in hosts for address in await self._addresses(host)])

    async def _addresses(self, host: str) -> tuple[str, ...]:
        for type in (A, AAAA):
            try:
                data = await self._resolver.lookup(host, type)
            except LookupFailed:
                continue
            addresses = tuple(str(ipaddress.ip_address(octets)) for octets in data if len(octets) in (4, 16))
            if addresses:
                return addresses
        return ()

    def _in_order(self, records: Sequence[ServiceRecord]) -> list[ServiceRecord]:
        """By priority; equal ones by chance, those with more weight first more often (RFC 2782)."""
        return sorted(
            records, key=lambda record: (record.priority, -(self._random.random() ** (1 / (record.weight or 0.01))))
        )
