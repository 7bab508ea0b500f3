"""What every challenge type gets and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from protocols.acme.errors import ErrorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be proved, and by what."""

    name: str
    """The DNS name, canonical, without ``*.``."""
    token: str
    key_authorization: str
    """Token and thumbprint of the account's key (RFC 8555, 8.1)."""


class ValidationFailed(Exception):
    """The proof was not there; the client is told why."""

    def __init__(self, type: ErrorType, detail: str, *, may_pass_later: bool = False) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail
        self.may_pass_later = may_pass_later
        """Whether trying again makes sense (nobody listens yet, a timeout, a 503)."""


class ChallengeType(Protocol):
    """A type of challenge."""

    @property
    def name(self) -> str:
        """Its name in the registry (RFC 8555, 9.7.8)."""
        ...

    @property
    def proves_wildcards(self) -> bool:
        """Whether it is offered for wildcard identifiers."""
        ...

    async def validate(self, target: Target) -> None:
        """Look for the proof, again where its settings say so; raises :class:`ValidationFailed`.

        Ends in bounded time and may be cancelled at any await.
        """
        ...
