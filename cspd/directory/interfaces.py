"""What protocols ask of a directory, and what a connector of the kind ``directory`` has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cspd.config.values import SecretReference
from cspd.directory.values import (
    Account,
    CertificateTemplate,
    EnrollmentService,
    Group,
    Principal,
    TrustedAuthorities,
)

CONNECTOR_KIND = "directory"


class Directory(Protocol):
    """Knows accounts, groups and certificate templates of one or more forests; nobody writes to it.

    Every method may raise Unavailable: nobody who knows can be asked, or not within the time-outs of conf.
    """

    async def authenticate(self, name: str, password: str, *, domain: str | None = None) -> Account:
        """The account of a user (or machine) who knows its password.

        ``name`` in one of the forms of :mod:`cspd.directory.account_names`; ``domain`` is what the request says beside
        it, and counts if the name has none (R-CEG-128). Raises Unauthorized, with the one reason
        :data:`cspd.authentication.interfaces.NOT_PROVED`, whatever was wrong; its detail says what.
        """
        ...

    async def account_of(self, principal: Principal) -> Account:
        """The account of an accepted ticket; raises Unauthorized if there is none, or it may not log on (any more)."""
        ...

    async def template_by_oid(self, oid: str, *, domain: str) -> CertificateTemplate:
        """The template of that object identifier (dotted) in the forest of a domain; raises NotFound."""
        ...

    async def template_by_name(self, name: str, *, domain: str) -> CertificateTemplate:
        """The template of that name (``cn``) in the forest of a domain; raises NotFound."""
        ...

    async def templates(self, *, domain: str) -> Sequence[CertificateTemplate]:
        """All certificate templates in the forest of a domain, in the order of their names."""
        ...

    async def enrollment_services(self, *, domain: str) -> Sequence[EnrollmentService]:
        """All enrollment services in the forest of a domain, in the order of their names."""
        ...

    async def trusted_authorities(self, *, domain: str) -> TrustedAuthorities:
        """The CAs that members of the forest of a domain trust; read when asked."""
        ...

    async def security_group(self, name: str) -> Group:
        """A security group, by a name in the forms that accounts have, the domain included (R-CEG-165).

        Raises NotFound for anything else, a distribution group too.
        """
        ...

    def stop(self) -> None:
        """End its threads and connections; waits for the questions that are asked now."""
        ...


@runtime_checkable
class HasDirectory(Protocol):
    """An ability that a :class:`cspd.authentication.interfaces.PasswordCheck` may have: it knows more than passwords.

    A protocol that needs a directory names an ``[authentication.NAME]`` which has it, so that conf says once how it is
    reached.
    """

    @property
    def directory(self) -> Directory:
        """Where its passwords are; whoever stops the check ends it too."""
        ...


class DirectoryFactory(Protocol):
    """Builds the connector whose name conf says."""

    def __call__(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        reactor: Any,
        secret: Callable[[SecretReference], bytes],
        folder: Path,
    ) -> Directory:
        """Build it, without I/O but reading the files and secrets that ``settings`` names.

        ``secret`` raises ValueError, saying why; relative paths start at ``folder``. Raises a Refused.
        """
        ...
