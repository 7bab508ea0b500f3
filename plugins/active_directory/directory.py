"""Accounts by their names and tickets, in whichever of the forests they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cspd.authentication.interfaces import NOT_PROVED
from cspd.clock import Clock
from cspd.directory.account_names import AccountName, AccountNameError, parse_account_name, parse_domain
from cspd.directory.security_identifiers import SecurityIdentifierError
from cspd.directory.threads import QuestionThreads
from cspd.directory.values import (
    Account,
    CertificateTemplate,
    EnrollmentService,
    Group,
    Principal,
    TrustedAuthorities,
)
from cspd.refusals import NotFound, Unauthorized, Unavailable
from plugins.active_directory import filters
from plugins.active_directory.conversation import Entry, NotThisPassword, Scope, Search
from plugins.active_directory.entries import (
    ACCOUNT_ATTRIBUTES,
    GROUP_ATTRIBUTES,
    TOKEN_GROUPS,
    EntryError,
    MayNotLogOn,
    read_account,
    read_group,
)
from plugins.active_directory.forests import Domain, Forest

MAX_PASSWORD = 1024
"""Octets."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A domain, and the forest that it is in."""

    forest: Forest
    domain: Domain


@dataclass(frozen=True, slots=True)
class _Located:
    """An account's entry, and where it is."""

    place: _Place
    entry: Entry


class ActiveDirectory:
    """Implements :class:`cspd.directory.interfaces.Directory`."""

    def __init__(
        self, forests: Sequence[Forest], *, default_domain: str, clock: Clock, threads: QuestionThreads
    ) -> None:
        """``default_domain`` is that of users who name none."""
        self._forests = tuple(forests)
        self._default_domain = default_domain
        self._clock = clock
        self._threads = threads

    async def authenticate(self, name: str, password: str, *, domain: str | None = None) -> Account:
        """See :class:`cspd.directory.interfaces.Directory`."""
        if not _is_password(password):
            raise _not_proved("no password, or one that nobody can have")
        located = await self._find(_parsed(name), domain)
        place = located.place
        try:
            await place.forest.check_password(place.domain.name, located.entry.dn, password)
        except NotThisPassword as error:
            raise _not_proved(f"{place.domain.netbios_name}: {error}") from error
        return await self._account(located)

    async def account_of(self, principal: Principal) -> Account:
        """See :class:`cspd.directory.interfaces.Directory`."""
        place = await self._place(principal.realm)
        try:
            wanted = (
                filters.account_by_name(_parsed(principal.account).account)
                if principal.sid is None
                else filters.account_by_sid(principal.sid)
            )
        except SecurityIdentifierError as error:
            raise _not_proved(str(error)) from error
        return await self._account(await self._only(place, wanted))

    async def template_by_oid(self, oid: str, *, domain: str) -> CertificateTemplate:
        """See :class:`cspd.directory.interfaces.Directory`."""
        for template in await self.templates(domain=domain):
            if template.oid == oid:
                return template
        raise NotFound(f"no certificate template has the object identifier {oid}")

    async def template_by_name(self, name: str, *, domain: str) -> CertificateTemplate:
        """See :class:`cspd.directory.interfaces.Directory`."""
        for template in await self.templates(domain=domain):
            if template.name.lower() == name.lower():  # cn compares so (caseIgnoreMatch)
                return template
        raise NotFound(f"no certificate template is called {name[:64]!r}")

    async def templates(self, *, domain: str) -> Sequence[CertificateTemplate]:
        """See :class:`cspd.directory.interfaces.Directory`."""
        return await (await self._known_place(domain)).forest.templates()

    async def enrollment_services(self, *, domain: str) -> Sequence[EnrollmentService]:
        """See :class:`cspd.directory.interfaces.Directory`."""
        return await (await self._known_place(domain)).forest.enrollment_services()

    async def trusted_authorities(self, *, domain: str) -> TrustedAuthorities:
        """See :class:`cspd.directory.interfaces.Directory`."""
        return await (await self._known_place(domain)).forest.trusted_authorities()

    async def security_group(self, name: str) -> Group:
        """See :class:`cspd.directory.interfaces.Directory`."""
        try:
            parsed = parse_account_name(name)
        except AccountNameError as error:
            raise NotFound(f"no security group: {error}") from error
        if parsed.domain is None:
            raise NotFound("a group is named with its domain: domain\\group or group@domain")
        place = await self._known_place(parsed.domain)
        search = Search(
            base=place.domain.naming_context,
            filter=filters.security_group(parsed.account),
            attributes=GROUP_ATTRIBUTES,
        )
        entries = await place.forest.search(place.domain.name, search)
        if len(entries) != 1:
            raise NotFound(f"no security group is called {name[:64]!r}")
        try:
            return read_group(entries[0], domain=place.domain.name)
        except EntryError as error:
            raise Unavailable("the directory's answer cannot be read", detail=str(error)) from error

    def stop(self) -> None:
        """See :class:`cspd.directory.interfaces.Directory`."""
        self._threads.stop()
        for forest in self._forests:
            forest.close()

    async def _find(self, name: AccountName, domain_of_request: str | None) -> _Located:
        """The account's entry; raises Unauthorized, Unavailable."""
        if name.is_principal and name.domain is not None:
            located = await self._by_principal_name(str(name), name.domain)
            if located is not None:
                return located
        domain = name.domain or domain_of_request or self._default_domain
        place = await self._place(domain)
        return await self._only(place, filters.account_by_name(name.account))

    async def _by_principal_name(self, name: str, suffix: str) -> _Located | None:
        """The account with that userPrincipalName in a forest that has the suffix, by its global catalog."""
        for forest in self._forests:
            layout = await forest.layout()
            domain = layout.domain(suffix)
            is_suffix = suffix.lower() in layout.upn_suffixes or (domain is not None and domain.name == suffix.lower())
            if not is_suffix:
                continue
            search = Search(base="", filter=filters.account_by_principal_name(name), attributes=())
            entries = await forest.search_catalog(search)
            if len(entries) > 1:
                raise _not_proved("several accounts have this userPrincipalName")
            if entries and (home := layout.domain_of(entries[0].dn)) is not None:
                return await self._only(_Place(forest, home), filters.ACCOUNT, base=entries[0].dn, scope=Scope.BASE)
        return None

    async def _place(self, domain: str) -> _Place:
        """The domain with that DNS or NetBIOS name, for somebody who logs on; raises Unauthorized, Unavailable."""
        try:
            return await self._known_place(domain)
        except NotFound as error:
            raise _not_proved(error.reason) from error

    async def _known_place(self, domain: str) -> _Place:
        """The domain with that DNS or NetBIOS name; raises NotFound, or Unavailable if a silent forest may have it."""
        try:
            wanted = parse_domain(domain)
        except AccountNameError as error:
            raise NotFound(str(error)) from error
        unavailable: Unavailable | None = None
        # The forest whose name was given first, so that the silence of another does not matter.
        for forest in sorted(self._forests, key=lambda each: each.name != wanted.lower()):
            try:
                found = (await forest.layout()).domain(wanted)
            except Unavailable as error:
                unavailable = error
                continue
            if found is not None:
                return _Place(forest, found)
        if unavailable is not None:
            raise unavailable
        raise NotFound(f"no forest of conf has the domain {wanted!r}")

    async def _only(
        self, place: _Place, filter: str, *, base: str | None = None, scope: Scope = Scope.SUBTREE
    ) -> _Located:
        """The one account that a filter finds in a domain; raises Unauthorized."""
        search = Search(
            base=base or place.domain.naming_context, filter=filter, attributes=ACCOUNT_ATTRIBUTES, scope=scope
        )
        entries = await place.forest.search(place.domain.name, search)
        if len(entries) != 1:
            raise _not_proved(f"{place.domain.netbios_name}: no such account")
        return _Located(place, entries[0])

    async def _account(self, located: _Located) -> Account:
        """The account with its groups; raises Unauthorized for one that may not log on."""
        place, entry = located.place, located.entry
        search = Search(base=entry.dn, filter=filters.ANYTHING, attributes=(TOKEN_GROUPS,), scope=Scope.BASE, limit=1)
        groups = await place.forest.search(place.domain.name, search)
        try:
            return read_account(
                entry,
                groups[0] if groups else Entry(entry.dn, {}),
                domain=place.domain.name,
                netbios_domain=place.domain.netbios_name,
                now=self._clock.now(),
            )
        except MayNotLogOn as error:
            raise _not_proved(f"{entry.dn}: {error}") from error
        except EntryError as error:
            raise Unavailable("the directory's answer cannot be read", detail=str(error)) from error


def _parsed(name: str) -> AccountName:
    try:
        return parse_account_name(name)
    except AccountNameError as error:
        raise _not_proved(str(error)) from error


def _is_password(password: str) -> bool:
    """An empty one would be an anonymous logon, which succeeds (RFC 4513, 5.1.2)."""
    try:
        return 0 < len(password.encode()) <= MAX_PASSWORD and "\0" not in password
    except UnicodeEncodeError:
        return False


def _not_proved(detail: str) -> Unauthorized:
    return Unauthorized(NOT_PROVED, detail=detail)
