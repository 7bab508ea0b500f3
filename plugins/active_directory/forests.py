"""One forest: which domains it has, whom to ask in each, and the referrals that lead from one to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from twisted.logger import Logger

from cspd.directory.threads import Threads
from cspd.directory.values import CertificateTemplate, EnrollmentService, TrustedAuthorities
from cspd.refusals import Unavailable
from plugins.active_directory import filters
from plugins.active_directory.config import DomainSettings
from plugins.active_directory.connections import Connections
from plugins.active_directory.conversation import Controller, Entry, NotThisPassword, Scope, Search, Simple
from plugins.active_directory.entries import (
    AUTHORITY_ATTRIBUTES,
    SERVICE_ATTRIBUTES,
    TEMPLATE_ATTRIBUTES,
    EntryError,
    read_enrollment_service,
    read_template,
    read_trusted_authorities,
)
from plugins.active_directory.kept import Kept
from plugins.active_directory.locator import Locator

T = TypeVar("T")

MAX_OBJECTS = 2000
"""Templates, enrollment services or domains of one forest."""
_PUBLIC_KEY_SERVICES = "CN=Public Key Services,CN=Services"
_IS_DOMAIN = 0x2  # FLAG_CR_NTDS_DOMAIN of systemFlags ([MS-ADTS] 2.2.10)
_ROOT_DSE = Search(
    base="", filter=filters.ANYTHING, attributes=("configurationNamingContext",), scope=Scope.BASE, limit=1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain of a forest, by its crossRef object ([MS-ADTS] 6.1.1.2.1.1.3)."""

    name: str
    """DNS name, in lower case."""
    netbios_name: str
    naming_context: str
    """The DN of its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a forest consists of."""

    configuration: str
    """The DN of the configuration naming context."""
    domains: tuple[Domain, ...]
    upn_suffixes: frozenset[str] = frozenset()
    """In lower case; what users may have behind the at sign beside the names of domains."""

    def domain(self, name: str) -> Domain | None:
        """The domain with that DNS or NetBIOS name, in any case."""
        wanted = name.lower().rstrip(".")
        return next((each for each in self.domains if wanted in (each.name, each.netbios_name.lower())), None)

    def domain_of(self, dn: str) -> Domain | None:
        """The domain that an object is in: the longest naming context that its DN ends with."""
        name = dn.lower()
        around = [
            each
            for each in self.domains
            if name == each.naming_context.lower() or name.endswith("," + each.naming_context.lower())
        ]
        return max(around, key=lambda each: len(each.naming_context), default=None)


class Forest:
    """Asks the domain controllers of one forest, in threads."""

    _log = Logger()

    def __init__(
        self,
        settings: DomainSettings,
        *,
        locator: Locator,
        connections: Connections,
        threads: Threads,
        seconds: Callable[[], float],
        kept_seconds: float,
    ) -> None:
        """``seconds`` is a clock that does not go back; layout and templates are read again after ``kept_seconds``."""
        self.name = settings.name
        self._settings = settings
        self._locator = locator
        self._connections = connections
        self._threads = threads
        self._layout = Kept(self._read_layout, lifetime=kept_seconds, seconds=seconds)
        self._templates = Kept(self._read_templates, lifetime=kept_seconds, seconds=seconds)
        self._services = Kept(self._read_services, lifetime=kept_seconds, seconds=seconds)

    async def layout(self) -> Layout:
        """Its domains; raises Unavailable."""
        return await self._layout.get()

    async def search(self, domain: str, search: Search) -> Sequence[Entry]:
        """Ask a domain controller of a domain; raises Unavailable."""
        return await self._asked(await self._controllers(domain), search)

    async def search_catalog(self, search: Search) -> Sequence[Entry]:
        """Ask a global catalog, which has some attributes of all objects of the forest; raises Unavailable."""
        port = self._settings.global_catalog
        if self._settings.domain_controllers:
            controllers = await self._locator.hosts(self._settings.domain_controllers, port)
        else:
            controllers = await self._locator.global_catalogs(self.name, port)
        return await self._asked(controllers, search)

    async def check_password(self, domain: str, dn: str, password: str) -> None:
        """Log on as an account; raises :class:`NotThisPassword`, Unavailable."""
        if not dn or not password:  # either would be an anonymous logon, which succeeds (RFC 4513, 5.1.2)
            raise NotThisPassword("no name, or no password")
        controllers = await self._controllers(domain)
        await self._threads.run(lambda: self._connections.check_password(controllers, Simple(dn, password)))

    async def templates(self) -> Sequence[CertificateTemplate]:
        """Its certificate templates by name; raises Unavailable."""
        return await self._templates.get()

    async def enrollment_services(self) -> Sequence[EnrollmentService]:
        """Its enrollment services by name; raises Unavailable."""
        return await self._services.get()

    async def trusted_authorities(self) -> TrustedAuthorities:
        """The CAs that its members trust, read now; raises Unavailable."""
        container = f"{_PUBLIC_KEY_SERVICES},{(await self.layout()).configuration}"
        search = Search(
            base=container,
            filter=filters.CERTIFICATION_AUTHORITIES,
            attributes=AUTHORITY_ATTRIBUTES,
            limit=MAX_OBJECTS,
        )
        entries = await self.search(self.name, search)
        if len(entries) > MAX_OBJECTS:
            raise Unavailable("the directory has too many entries", detail=f"{container}: more than {MAX_OBJECTS}")
        try:
            return read_trusted_authorities(entries, container=container)
        except EntryError as error:
            raise Unavailable("the directory's answer cannot be read", detail=str(error)) from error

    def close(self) -> None:
        """End the connections that wait for a question."""
        self._connections.close()

    async def _read_layout(self) -> Layout:
        entries = await self.search(self.name, _ROOT_DSE)
        configuration = _text(entries[0], "configurationNamingContext") if entries else ""
        if not configuration:
            raise Unavailable("the directory does not answer", detail=f"{self.name}: no configurationNamingContext")
        partitions = await self.search(
            self.name,
            Search(
                base=f"CN=Partitions,{configuration}",
                filter=filters.CROSS_REFERENCES,
                attributes=("nETBIOSName", "dnsRoot", "nCName", "systemFlags", "uPNSuffixes"),
                limit=MAX_OBJECTS,
            ),
        )
        return Layout(
            configuration=configuration,
            domains=tuple(filter(None, map(_domain, partitions))),
            upn_suffixes=frozenset(
                suffix.decode(errors="replace").lower()
                for entry in partitions
                for suffix in entry.attributes.get("upnsuffixes", ())
            ),
        )

    async def _read_templates(self) -> Sequence[CertificateTemplate]:
        entries = await self._public_key_services("CN=Certificate Templates", filters.TEMPLATES, TEMPLATE_ATTRIBUTES)
        return sorted(self._readable(entries, read_template), key=lambda each: each.name.lower())

    async def _read_services(self) -> Sequence[EnrollmentService]:
        container = "CN=Enrollment Services"
        entries = await self._public_key_services(container, filters.ENROLLMENT_SERVICES, SERVICE_ATTRIBUTES)
        return sorted(self._readable(entries, read_enrollment_service), key=lambda each: each.name.lower())

    async def _public_key_services(self, container: str, filter: str, attributes: tuple[str, ...]) -> Sequence[Entry]:
        configuration = (await self.layout()).configuration
        search = Search(
            base=f"{container},{_PUBLIC_KEY_SERVICES},{configuration}",
            filter=filter,
            attributes=attributes,
            scope=Scope.ONE,
            limit=MAX_OBJECTS,
            with_security=True,
        )
        entries = await self.search(self.name, search)
        if len(entries) > MAX_OBJECTS:
            raise Unavailable("the directory has too many entries", detail=f"{container}: more than {MAX_OBJECTS}")
        return entries

    def _readable(self, entries: Sequence[Entry], read: Callable[[Entry], T]) -> list[T]:
        """What can be read; one damaged entry does not make the others useless."""
        values = []
        for entry in entries:
            try:
                values.append(read(entry))
            except EntryError as error:
                self._log.warn("an entry of the directory is left out: {reason}", reason=str(error))
        return values

    async def _controllers(self, domain: str) -> tuple[Controller, ...]:
        if domain == self.name and self._settings.domain_controllers:
            return await self._locator.hosts(self._settings.domain_controllers, self._settings.ldap)
        return await self._locator.controllers(domain, self._settings.ldap)

    async def _asked(self, controllers: Sequence[Controller], search: Search) -> Sequence[Entry]:
        """Ask, and go where referrals lead, so many times as conf allows (P-WST-05)."""
        for _ in range(self._settings.max_referrals + 1):
            asked, question = controllers, search
            found = await self._threads.run(lambda: self._connections.search(asked, question))  # noqa: B023
            if not found.referrals:
                return found.entries
            controllers, search = await self._referred(found.referrals, search)
        raise Unavailable(
            "the directory does not answer",
            detail=f"{search.base}: more referrals than max_referrals ({self._settings.max_referrals})",
        )

    async def _referred(self, urls: Sequence[str], search: Search) -> tuple[Sequence[Controller], Search]:
        """Whom a referral names (RFC 4511, 4.1.10).

        Only hosts within this forest: the account that reads logs on there. How the connection is protected stays as
        conf says, whatever the URL's scheme.
        """
        layout = self._layout.peek()
        domains = {self.name, *(domain.name for domain in (layout.domains if layout else ()))}
        for url in urls:
            host, base = _host_and_base(url)
            referred = replace(search, base=base or search.base)
            if host in domains:
                return await self._controllers(host), referred
            if any(host.endswith("." + domain) for domain in domains):
                return await self._locator.hosts((host,), self._settings.ldap), referred
        raise Unavailable("the directory does not answer", detail=f"referred outside of the forest: {urls[0][:200]}")


def _domain(entry: Entry) -> Domain | None:
    """A domain by its crossRef; None for other naming contexts, and for domains of other forests."""
    try:
        flags = int(_text(entry, "systemFlags") or "0")
    except ValueError:
        return None
    name, netbios_name, context = (_text(entry, each) for each in ("dnsRoot", "nETBIOSName", "nCName"))
    if not flags & _IS_DOMAIN or not name or not netbios_name or not context:
        return None
    return Domain(name=name.lower(), netbios_name=netbios_name, naming_context=context)


def _text(entry: Entry, name: str) -> str:
    values = entry.attributes.get(name.lower(), ())
    return values[0].decode(errors="replace") if values else ""


def _host_and_base(url: str) -> tuple[str, str]:
    """Host and DN of an LDAP URL (RFC 4516); empty if it has none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    if parts.scheme.lower() not in ("ldap", "ldaps"):
        return "", ""
    return host.lower().rstrip("."), unquote(parts.path.removeprefix("/"))
