"""``cspctl enrollment-secret``: secrets that clients of enrollment protocols prove themselves with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.authentication.secrets import (
    DEFAULT_TRIES,
    MAX_REFERENCE,
    MAX_SECRET,
    EnrollmentSecret,
    EnrollmentSecrets,
    GivenSecret,
)
from cspd.authority.interfaces import Authorities
from cspd.authority.values import CAReference
from cspd.config.values import parse_duration

MAX_LISTED = 1000
MAX_NAMES = 20
Name = Annotated[str, Field(min_length=1, max_length=255)]


class SecretToCreate(Arguments):
    """What a new secret is for."""

    purpose: str = Field(pattern=r"^[a-z][a-z0-9-]{0,15}$")
    """The protocol that takes it."""
    identity: str = Field(min_length=1, max_length=200)
    ca: str | None = Field(default=None, max_length=40)
    profile: str | None = Field(default=None, max_length=80)
    names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_NAMES)] | None = None
    """What requests may name; not every protocol takes such secrets."""
    lifetime: Annotated[
        timedelta,
        BeforeValidator(parse_duration),
        Field(ge=timedelta(minutes=1), le=timedelta(days=3660)),
    ] = timedelta(days=7)
    one_time: bool = True
    tries: int = Field(default=DEFAULT_TRIES, ge=1, le=1_000_000)
    reference: str | None = Field(default=None, max_length=MAX_REFERENCE)
    """With ``secret``: of a secret that was made elsewhere."""
    secret: str | None = Field(default=None, max_length=MAX_SECRET, repr=False)

    @model_validator(mode="after")
    def _both_or_none(self) -> SecretToCreate:
        if (self.reference is None) != (self.secret is None):
            raise ValueError("reference and secret are given together, or neither")
        return self

    @property
    def given(self) -> GivenSecret | None:
        """The secret that was made elsewhere; raises Malformed."""
        if self.reference is None or self.secret is None:
            return None
        return GivenSecret(self.reference, self.secret)


class SecretFilter(Arguments):
    """Which secrets to list."""

    purpose: str | None = Field(default=None, max_length=16)
    limit: int = Field(default=100, ge=1, le=MAX_LISTED)


class SecretName(Arguments):
    """Which secret."""

    reference: str = Field(max_length=64)


class EnrollmentSecretOperations:
    """Runs the operations on enrollment secrets."""

    def __init__(self, secrets: EnrollmentSecrets, authorities: Authorities) -> None:
        self._secrets = secrets
        self._authorities = authorities

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="enrollment-secret-create", arguments=SecretToCreate, run=self.create),
            Operation(name="enrollment-secret-list", arguments=SecretFilter, run=self.list, only_reads=True),
            Operation(name="enrollment-secret-revoke", arguments=SecretName, run=self.revoke),
        )

    async def create(self, arguments: SecretToCreate, caller: Caller) -> Any:
        """The reference number and the secret, unless it was given; nobody is shown it again."""
        ca = None if arguments.ca is None else CAReference.parse(arguments.ca)
        if ca is not None:
            await self._authorities.get(ca)
        new = await self._secrets.create(
            purpose=arguments.purpose,
            identity=arguments.identity,
            lifetime=arguments.lifetime,
            by=caller.requester,
            ca=ca,
            profile=arguments.profile,
            names=arguments.names,
            one_time=arguments.one_time,
            tries=arguments.tries,
            given=arguments.given,
        )
        shown = {} if arguments.secret is not None else {"secret": new.secret}
        return {**_view(new.terms), **shown}

    async def list(self, arguments: SecretFilter, caller: Caller) -> Any:
        """The oldest first."""
        listed = await self._secrets.list(purpose=arguments.purpose, limit=arguments.limit)
        return [_view(each) for each in listed]

    async def revoke(self, arguments: SecretName, caller: Caller) -> Any:
        """Make one useless."""
        return {"reference": (await self._secrets.revoke(arguments.reference, caller.requester)).reference}


def _view(terms: EnrollmentSecret) -> dict[str, Any]:
    return {
        "reference": terms.reference,
        "purpose": terms.purpose,
        "identity": terms.identity,
        "ca": terms.ca,
        "profile": terms.profile,
        "names": None if terms.names is None else list(terms.names),
        "one_time": terms.one_time,
        "state": terms.state,
        "failures": terms.failures,
        "tries": terms.tries,
        "created_by": terms.created_by,
        "created_at": views.moment(terms.created_at),
        "expires_at": views.moment(terms.expires_at),
    }
