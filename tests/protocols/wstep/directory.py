"""A directory in memory: the accounts and templates of :mod:`.accounts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cspd.authentication.interfaces import NOT_PROVED
from cspd.authentication.values import Identity
from cspd.directory.values import (
    Account,
    CertificateTemplate,
    EnrollmentService,
    Group,
    Principal,
    TrustedAuthorities,
)
from cspd.refusals import NotFound, Refused, Unauthorized
from tests.protocols.wstep.accounts import ALICE, MACHINE, MACHINE_TEMPLATE, SERVICE, template


@dataclass
class MemoryDirectory:
    """Implements :class:`cspd.directory.interfaces.Directory`."""

    accounts: dict[str, Account] = field(
        default_factory=lambda: {"alice": ALICE, "alice@example.com": ALICE, "EXAMPLE\\WS1$": MACHINE}
    )
    known_templates: list[CertificateTemplate] = field(default_factory=lambda: [template(), MACHINE_TEMPLATE])
    services: list[EnrollmentService] = field(default_factory=lambda: [SERVICE])
    password: str = " pass word "
    refusal: Refused | None = None
    """What every question ends with."""
    asked_domains: list[str | None] = field(default_factory=list)
    stopped: bool = False

    async def authenticate(self, name: str, password: str, *, domain: str | None = None) -> Account:
        self._ask()
        self.asked_domains.append(domain)
        if password != self.password or name not in self.accounts:
            raise Unauthorized(NOT_PROVED, detail="data 52e")
        return self.accounts[name]

    async def account_of(self, principal: Principal) -> Account:
        self._ask()
        for account in self.accounts.values():
            if account.account_name == principal.account and principal.realm in ("EXAMPLE.COM", "EXAMPLE"):
                return account
        raise Unauthorized(NOT_PROVED)

    async def template_by_oid(self, oid: str, *, domain: str) -> CertificateTemplate:
        return self._template(lambda each: each.oid == oid)

    async def template_by_name(self, name: str, *, domain: str) -> CertificateTemplate:
        return self._template(lambda each: each.name == name)

    async def templates(self, *, domain: str) -> Sequence[CertificateTemplate]:
        self._ask()
        return tuple(self.known_templates)

    async def enrollment_services(self, *, domain: str) -> Sequence[EnrollmentService]:
        self._ask()
        return tuple(self.services)

    async def trusted_authorities(self, *, domain: str) -> TrustedAuthorities:
        return TrustedAuthorities()

    async def security_group(self, name: str) -> Group:
        raise NotFound("no such group")

    def stop(self) -> None:
        self.stopped = True

    def _ask(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def _template(self, fits: object) -> CertificateTemplate:
        self._ask()
        for each in self.known_templates:
            if fits(each):  # type: ignore[operator]
                return each
        raise NotFound("no such template")


class DirectoryCheck:
    """Implements :class:`cspd.authentication.interfaces.PasswordCheck`, and has a directory."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self.directory = directory

    async def check(self, user: str, password: str) -> Identity:
        return Identity(str(await self.directory.authenticate(user, password)), "corp")
