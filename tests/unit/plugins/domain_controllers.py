"""Domain controllers that exist in memory: what they hold, and what they were asked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from cspd.directory.security_identifiers import encode_sid
from cspd.dns.messages import SRV, A
from cspd.dns.resolver import NoSuchName
from plugins.active_directory import filters
from plugins.active_directory.config import DomainSettings
from plugins.active_directory.connections import Connections
from plugins.active_directory.conversation import (
    CannotAsk,
    Controller,
    Credentials,
    Entry,
    Found,
    NotThisPassword,
    Scope,
    Search,
    Simple,
)
from plugins.active_directory.directory import ActiveDirectory
from plugins.active_directory.forests import Forest
from plugins.active_directory.locator import Locator
from tests.support.clocks import FrozenClock

T = TypeVar("T")
READER = Simple("reader@example.com", "reader's")


def texts(**attributes: str | bytes | list[str | bytes]) -> dict[str, tuple[bytes, ...]]:
    """Attributes of an entry; ``__`` in a name is a hyphen."""
    found = {}
    for name, value in attributes.items():
        values = value if isinstance(value, list) else [value]
        octets = tuple(each.encode() if isinstance(each, str) else each for each in values)
        found[name.replace("__", "-").lower()] = octets
    return found


def user(
    name: str, number: int, *, domain: str = "DC=example,DC=com", **more: str | bytes | list[str | bytes]
) -> Entry:
    attributes: dict[str, str | bytes | list[str | bytes]] = {
        "cn": name.title(),
        "sAMAccountName": name,
        "sAMAccountType": "805306368",
        "userAccountControl": "512",
        "objectSid": encode_sid(f"S-1-5-21-1-2-3-{number}"),
        "objectGUID": bytes(range(16)),
        "accountExpires": "9223372036854775807",
        "tokenGroups": [encode_sid("S-1-5-21-1-2-3-513")],
        **more,
    }
    return Entry(f"CN={name.title()},CN=Users,{domain}", texts(**attributes))


def cross_reference(name: str, netbios: str, context: str, flags: int = 3) -> Entry:
    values = texts(dnsRoot=name, nETBIOSName=netbios, nCName=context, systemFlags=str(flags))
    return Entry(f"CN={netbios},CN=Partitions,CN=Configuration,DC=example,DC=com", values)


@dataclass
class World:
    """All domain controllers; implements :class:`plugins.active_directory.conversation.Dialler`."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    """By the host that holds them; ``*`` for every host."""
    passwords: dict[str, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    """Hosts whose open connections are over, but that take new ones."""
    referrals: dict[str, Sequence[str]] = field(default_factory=dict)
    """By host."""
    asked: list[tuple[str, Search]] = field(default_factory=list)
    dialled: list[tuple[str, Credentials]] = field(default_factory=list)
    open: int = 0

    def __call__(self, controller: Controller, credentials: Credentials) -> FakeConversation:
        self.dialled.append((str(controller), credentials))
        if controller.host in self.away:
            raise CannotAsk(f"{controller}: away")
        is_a_user = isinstance(credentials, Simple) and credentials != READER
        if is_a_user and self.passwords.get(credentials.user) != credentials.password:
            raise NotThisPassword("wrong password")
        self.open += 1
        return FakeConversation(self, controller)


class FakeConversation:
    def __init__(self, world: World, controller: Controller) -> None:
        self._world, self._controller = world, controller
        self._is_old = False

    def search(self, search: Search) -> Found:
        host = self._controller.host
        if host in self._world.away or (self._is_old and host in self._world.broken):
            raise CannotAsk(f"{host}: over")
        self._is_old = True
        self._world.asked.append((str(self._controller), search))
        if host in self._world.referrals:
            return Found(referrals=self._world.referrals[host])
        held = [*self._world.entries.get(host, ()), *self._world.entries.get("*", ())]
        return Found([entry for entry in held if _is_found(entry, search)][: search.limit + 1])

    def close(self) -> None:
        self._world.open -= 1


def _is_found(entry: Entry, search: Search) -> bool:
    """As far as the questions of the connector need it; filters are compared as they were written."""
    base, dn = search.base.lower(), entry.dn.lower()
    if search.scope is Scope.BASE:
        return dn == base and search.filter in (filters.ANYTHING, filters.ACCOUNT)
    if base and not dn.endswith("," + base):
        return False
    if search.filter == filters.CROSS_REFERENCES:
        return "dnsroot" in entry.attributes or "upnsuffixes" in entry.attributes
    if search.filter == filters.TEMPLATES:
        return "mspki-cert-template-oid" in entry.attributes
    if search.filter == filters.ENROLLMENT_SERVICES:
        return "certificatetemplates" in entry.attributes
    if search.filter == filters.CERTIFICATION_AUTHORITIES:
        return "cacertificate" in entry.attributes and "certificatetemplates" not in entry.attributes
    name = _value(entry, "samaccountname")
    wanted = [filters.account_by_name(name), filters.security_group(name)]
    wanted.append(filters.account_by_principal_name(_value(entry, "userprincipalname")))
    if "objectsid" in entry.attributes:
        wanted.append(f"(&(objectSid={filters.octets(entry.attributes['objectsid'][0])}){filters.ACCOUNT[2:-1]})")
    return search.filter.lower() in map(str.lower, wanted)


def _value(entry: Entry, name: str) -> str:
    return entry.attributes.get(name, (b"",))[0].decode()


class Names:
    """Implements :class:`plugins.active_directory.locator.Resolver`."""

    def __init__(self, **services: Sequence[tuple[int, int, str]]) -> None:
        """``services`` by domain, dots written ``_``: priority, weight and host."""
        self.services = {name.replace("_", "."): found for name, found in services.items()}
        self.addresses: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
        self.asked.append(name)
        if type == SRV:
            for domain, found in self.services.items():
                if name in (f"_ldap._tcp.dc._msdcs.{domain}", f"_gc._tcp.{domain}"):
                    return tuple(_service(*each) for each in found)
        if type == A and name in self.addresses:
            return (self.addresses[name],)
        raise NoSuchName(f"DNS: {name} does not exist")


def _service(priority: int, weight: int, host: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in host.split(".") if label)
    return struct.pack("!3H", priority, weight, 389) + labels + b"\0"


class AtOnce:
    """Implements :class:`cspd.directory.threads.Threads` without threads."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    def stop(self) -> None:
        """Nothing to do."""


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


NAMES = {"example_com": [(0, 100, "dc1.example.com")], "child_example_com": [(0, 100, "dc.child.example.com")]}
PARTITIONS = [
    Entry("", texts(configurationNamingContext="CN=Configuration,DC=example,DC=com")),
    cross_reference("example.com", "EXAMPLE", "DC=example,DC=com"),
    cross_reference("child.example.com", "CHILD", "DC=child,DC=example,DC=com"),
    cross_reference("ForestDnsZones.example.com", "", "DC=ForestDnsZones,DC=example,DC=com", 5),
    cross_reference("partner.test", "PARTNER", "DC=partner,DC=test", 0),
    Entry("CN=x,CN=Partitions,CN=Configuration,DC=example,DC=com", texts(uPNSuffixes=["Corp.Example"])),
]


def forest(
    world: World,
    *,
    name: str = "example.com",
    resolver: Names | None = None,
    seconds: Seconds | None = None,
    **settings: object,
) -> Forest:
    seconds = seconds or Seconds()
    conf = DomainSettings.model_validate(
        {"name": name, "user": "reader@example.com", "password": {"env": "X"}, "start_tls": False, **settings}
    )
    return Forest(
        conf,
        locator=locator(resolver or Names(**NAMES)),
        connections=Connections(world, READER, max_kept=2, monotonic=seconds),
        threads=AtOnce(),
        seconds=seconds,
        kept_seconds=300.0,
    )


class NoTimeout:
    """The part of a reactor that a time limit needs, where time does not pass."""

    def callLater(self, delay: float, call: Callable[..., object], *arguments: object) -> NoTimeout:
        return self

    def active(self) -> bool:
        return False

    def cancel(self) -> None:
        """Nothing to do."""


def locator(resolver: Names, *, find_addresses: bool = False) -> Locator:
    return Locator(
        reactor=NoTimeout(), resolver=resolver, random=Random(7), timeout=10.0, find_addresses=find_addresses
    )


def directory(*forests: Forest, default_domain: str = "example.com") -> ActiveDirectory:
    return ActiveDirectory(
        forests,
        default_domain=default_domain,
        clock=FrozenClock(),
        threads=AtOnce(),  # type: ignore[arg-type]
    )
