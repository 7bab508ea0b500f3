"""The ``[store]`` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cspd.config.values import SecretReference, Section


class PostgreSQLTLS(Section):
    """How the connection to a PostgreSQL server is protected; the words are libpq's (R-PLAT-115)."""

    mode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    """``verify-full`` proves that the server is the one named in the URL; ``disable`` is for loopback and tests."""
    ca_file: str | None = None
    """PEM file with the issuers of the server's certificate; None: the system's, with ``verify-full`` only."""

    @model_validator(mode="after")
    def _issuers_fit_the_mode(self) -> PostgreSQLTLS:
        # libpq refuses verify-ca with the system's issuers: anybody can get a certificate from one of those.
        if self.mode == "verify-ca" and self.ca_file is None:
            raise ValueError('mode = "verify-ca" needs ca_file')
        if self.ca_file is not None and not self.mode.startswith("verify"):
            raise ValueError(f'ca_file has no effect with mode = "{self.mode}"')
        return self


class StoreConfig(Section):
    """Where certificates, CAs, keys, jobs and the audit log are kept.

    One node: ``url = "sqlite:///store.sqlite"``. Several nodes: ``url = "postgresql://cspd@db.example/cspd"``
    with ``password = { file = "..." }``.
    """

    url: str = "sqlite:///store.sqlite"
    """A relative path of ``sqlite:///`` is resolved by the loader; a password does not belong here."""
    password: SecretReference | None = None
    tls: PostgreSQLTLS = PostgreSQLTLS()
    readers: Annotated[int, Field(ge=1, le=32)] = 2
    """Reader threads; each has a connection of its own, as has the writer: readers + 1 for each worker process."""

    @field_validator("url")
    @classmethod
    def _known_url(cls, value: str) -> str:
        hint = '"sqlite:///path" or "postgresql://user@host:5432/database"'
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError(hint) from error
        if url.drivername not in {"sqlite", "postgresql"} or not url.database or url.database == ":memory:":
            raise ValueError(hint)
        if url.password is not None:
            raise ValueError('the password goes into store.password = { file = "..." }, not into the URL')
        return value

    @model_validator(mode="after")
    def _only_for_postgresql(self) -> StoreConfig:
        if make_url(self.url).drivername == "sqlite":
            for name in ("password", "tls"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name} is for postgresql:// only")
        return self

    def engine_url(self, password: str | None = None) -> URL:
        """The URL for :func:`cspd.store.database.open_database`, with the secret that ``password`` refers to.

        Its text form (``str()``) hides the password.
        """
        url = make_url(self.url)
        if url.drivername == "sqlite":
            return url
        query: dict[str, Any] = {"sslmode": self.tls.mode}
        if self.tls.mode.startswith("verify"):
            query["sslrootcert"] = self.tls.ca_file or "system"
        return url.set(password=password).update_query_dict(query)
