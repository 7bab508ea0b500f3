"""The settings of the connector ``active-directory``; ``docs/active-directory.md`` explains them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cspd.config.inspection import Inspection
from cspd.config.problems import Problem
from cspd.config.values import PositiveDuration, SecretReference, Section
from cspd.directory.account_names import parse_domain
from cspd.refusals import Refused
from plugins.active_directory.trust import read_trusted

_LDAP, _LDAPS, _GC, _GCS = 389, 636, 3268, 3269
Port = Annotated[int, Field(ge=1, le=65535)]


def _dns_name(text: str) -> str:
    labels = text.rstrip(".").lower().split(".")
    if (
        len(text) > 255
        or len(labels) < 2
        or not all(
            0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() and label.isascii()
            for label in labels
        )
    ):
        raise ValueError('a DNS name, for example "example.com"')
    return ".".join(labels)


DNSName = Annotated[str, AfterValidator(_dns_name)]


DNSServers = Annotated[tuple[str, ...], Field(max_length=8)]
"""``192.0.2.53`` or ``192.0.2.53:53``."""


class KerberosSettings(Section):
    """How cspd logs on to the directory by Kerberos (P-WST-02 to 04)."""

    principal: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^@\s]+(@[A-Z0-9.-]+)?$")]
    """Whose keytab it is: ``svc-cspd`` or ``HTTP/ca.example.com``; the realm is that of the domain if absent."""
    keytab: str
    """A file with the keys of the principal."""


class DomainSettings(Section):
    """One of ``[[domains]]``: a forest, by its root domain, and how its domain controllers are reached."""

    name: DNSName
    """The root domain (P-WST-22); child domains are found by themselves."""
    domain_controllers: tuple[DNSName, ...] = ()
    """Which to ask, in that order (P-WST-21); those that DNS names if absent."""
    dns_servers: DNSServers = ()
    """Who knows the SRV records of this forest."""
    ldaps: bool = False
    """TLS from the first octet (P-WST-06)."""
    start_tls: bool = True
    """TLS after StartTLS where ``ldaps`` is off."""
    ca_file: str | None = None
    """Issuers of the domain controllers' certificates: PEM, or PKCS#12 with ``ca_password`` (P-WST-07 to 09).

    Those of the operating system if absent.
    """
    ca_password: SecretReference | None = None
    """Of a PKCS#12 file; with it ``ca_file`` is one (P-WST-10)."""
    ldap_port: Port | None = None
    """389, with ``ldaps`` 636 (P-WST-11)."""
    global_catalog_port: Port | None = None
    """3268, with ``ldaps`` 3269 (P-WST-12)."""
    connect_timeout: PositiveDuration = timedelta(seconds=30)
    read_timeout: PositiveDuration = timedelta(seconds=30)
    """Rounded up to whole seconds (P-WST-13, 14)."""
    user: str | None = None
    """Who reads: ``svc-ldap@example.com``; any account of the domain, without special rights (P-WST-15)."""
    password: SecretReference | None = None
    kerberos: KerberosSettings | None = None
    """In place of user and password."""
    max_referrals: Annotated[int, Field(ge=0, le=10)] = 3
    """Referrals that one question may follow (P-WST-05)."""

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.ldaps or self.start_tls

    @property
    def ldap(self) -> int:
        """The port of a domain's own data."""
        return self.ldap_port or (_LDAPS if self.ldaps else _LDAP)

    @property
    def global_catalog(self) -> int:
        """The port of what the whole forest knows of each object."""
        return self.global_catalog_port or (_GCS if self.ldaps else _GC)

    @model_validator(mode="after")
    def _knows_who_reads(self) -> DomainSettings:
        if (self.user is None) != (self.password is None) or (self.user is None) == (self.kerberos is None):
            raise ValueError("either user and password, or kerberos")
        if self.kerberos is not None and not self.uses_tls:
            raise ValueError("kerberos protects the logon alone: switch on ldaps or start_tls")
        if self.ca_password is not None and self.ca_file is None:
            raise ValueError("ca_password belongs to the PKCS#12 of ca_file")
        return self


class ActiveDirectorySettings(Section):
    """All settings of one connector."""

    domains: Annotated[tuple[DomainSettings, ...], Field(min_length=1, max_length=64)]
    default_domain: Annotated[str, AfterValidator(parse_domain)] | None = None
    """Of users who name no domain, nor their request (P-WST-22), DNS or NetBIOS name; the first of ``domains`` if
    absent."""
    dns_servers: DNSServers = ()
    """Of the domains that have none of their own; those of the operating system if absent."""
    dns_timeout: PositiveDuration = timedelta(seconds=10)
    kerberos_configuration: str | None = None
    """``krb5.conf`` (P-WST-04); that of the operating system if absent. One for the whole process."""
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Questions that are asked at one time."""
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Questions that may wait for a thread; more are refused."""
    cache: PositiveDuration = timedelta(minutes=5)
    """How long the domains and templates of a forest are kept before they are read again."""

    @model_validator(mode="after")
    def _names_each_once(self) -> ActiveDirectorySettings:
        names = [domain.name for domain in self.domains]
        if len(set(names)) != len(names):
            raise ValueError("each domain stands once in domains")
        return self

    def inspect_secrets(self, folder: Path, now: datetime, secret: Callable[[SecretReference], bytes]) -> Inspection:
        """See :class:`cspd.config.inspection.InspectedWithSecrets`: the files of each domain."""
        problems = []
        for index, domain in enumerate(self.domains):
            if domain.ca_file is not None:
                try:
                    password = None if domain.ca_password is None else secret(domain.ca_password)
                    read_trusted(folder / domain.ca_file, password)
                except Refused as error:
                    remedy = "Name the issuers of the domain controllers' certificates"
                    problems.append(Problem(what=str(error), remedy=remedy, key=("domains", index, "ca_file")))
                except ValueError:
                    pass  # the secret is missing, which is told already
            if domain.kerberos is not None and not (keytab := folder / domain.kerberos.keytab).is_file():
                key = ("domains", index, "kerberos", "keytab")
                problems.append(Problem(what=f"{keytab} is no file", remedy="Name a keytab", key=key))
        if self.kerberos_configuration is not None and not (file := folder / self.kerberos_configuration).is_file():
            problems.append(
                Problem(what=f"{file} is no file", remedy="Name a krb5.conf", key=("kerberos_configuration",))
            )
        return Inspection(problems=problems)
