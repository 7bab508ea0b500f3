"""What is said to one domain controller, without saying how: the values, and the interface that tests stand in for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol


class CannotAsk(Exception):
    """The domain controller does not answer, or not to us; the text says why."""


class NotThisPassword(Exception):
    """The domain controller says no to these credentials; the text says why, for the log."""


class Scope(Enum):
    """How far below its base a search goes (RFC 4511, 4.5.1.2)."""

    BASE = "BASE"
    ONE = "LEVEL"
    SUBTREE = "SUBTREE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One question."""

    base: str
    filter: str
    attributes: tuple[str, ...]
    scope: Scope = Scope.SUBTREE
    limit: int = 2
    """Entries: where there are more, one more is given, and no further page is asked for."""
    with_security: bool = False
    """Also read ``nTSecurityDescriptor``, its owner, group and DACL."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer. Attribute names are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a search: entries, or the URLs of whom to ask in its stead (RFC 4511, 4.1.10)."""

    entries: Sequence[Entry] = ()
    referrals: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Simple:
    """Name and password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kerberos:
    """A principal whose keys are in a file."""

    principal: str
    keytab: Path


Credentials = Simple | Kerberos


@dataclass(frozen=True, slots=True)
class Controller:
    """A domain controller, and which of its ports is meant."""

    host: str
    """DNS name, which its certificate and its Kerberos service have."""
    port: int
    address: str | None = None
    """Where it is; None if the operating system finds it."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Conversation(Protocol):
    """A connection on which somebody has logged on. Blocks; used by one thread at a time."""

    def search(self, search: Search) -> Found:
        """Ask. An object that is not there gives no entries. Raises :class:`CannotAsk`; then the connection is over."""
        ...

    def close(self) -> None:
        """End it; raises nothing."""
        ...


class Dialler(Protocol):
    """Opens conversations."""

    def __call__(self, controller: Controller, credentials: Credentials) -> Conversation:
        """Connect, protect the connection as conf says, and log on.

        Raises :class:`CannotAsk` and :class:`NotThisPassword`. Blocks.
        """
        ...
