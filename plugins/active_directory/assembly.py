"""Builds the connector from its settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

from pydantic import ValidationError

from cspd.clock import SystemClock
from cspd.config.values import SecretReference
from cspd.directory.kerberos_configuration import use_kerberos_configuration
from cspd.directory.threads import QuestionThreads
from cspd.dns.resolver import Nameserver, Resolver, system_nameservers
from cspd.keys.threads import ThreadPool
from cspd.refusals import Malformed, Unavailable
from plugins.active_directory.check import DirectoryPasswords
from plugins.active_directory.config import ActiveDirectorySettings, DomainSettings
from plugins.active_directory.connections import Connections
from plugins.active_directory.conversation import Credentials, Kerberos, Simple
from plugins.active_directory.directory import ActiveDirectory
from plugins.active_directory.forests import Forest
from plugins.active_directory.ldap import LDAPDialler
from plugins.active_directory.locator import Locator
from plugins.active_directory.trust import read_trusted

Secret = Callable[[SecretReference], bytes]


def build_directory(
    name: str, settings: Mapping[str, Any], *, reactor: Any, secret: Secret, folder: Path
) -> ActiveDirectory:
    """See :class:`cspd.directory.interfaces.DirectoryFactory`."""
    config = _validated(settings)
    if config.kerberos_configuration is not None:
        realms = [domain.name for domain in config.domains]
        use_kerberos_configuration(folder / config.kerberos_configuration, realms)
    threads = QuestionThreads(
        ThreadPool(f"directory-{name}", config.threads, call_from_thread=reactor.callFromThread),
        max_waiting=config.max_waiting,
    )
    forests = [
        Forest(
            domain,
            locator=_locator(
                domain.dns_servers or config.dns_servers, config.dns_timeout.total_seconds(), reactor=reactor
            ),
            connections=_connections(domain, config.threads, secret=secret, folder=folder),
            threads=threads,
            seconds=reactor.seconds,
            kept_seconds=config.cache.total_seconds(),
        )
        for domain in config.domains
    ]
    return ActiveDirectory(
        forests,
        default_domain=config.default_domain or config.domains[0].name,
        clock=SystemClock(),
        threads=threads,
    )


def build_password_check(
    name: str, settings: Mapping[str, Any], *, reactor: Any, secret: Secret, folder: Path
) -> DirectoryPasswords:
    """See :class:`cspd.authentication.interfaces.PasswordCheckFactory`."""
    return DirectoryPasswords(name, build_directory(name, settings, reactor=reactor, secret=secret, folder=folder))


def _validated(settings: Mapping[str, Any]) -> ActiveDirectorySettings:
    try:
        return ActiveDirectorySettings.model_validate(dict(settings))
    except ValidationError as error:
        found = error.errors()[0]
        raise Malformed(f"settings.{'.'.join(map(str, found['loc']))}: {found['msg']}") from None


def _locator(dns_servers: Sequence[str], timeout: float, *, reactor: Any) -> Locator:
    """Asks those servers, or those of the operating system, which then also says where hosts are."""
    random = SystemRandom()
    nameservers = _nameservers(dns_servers)
    resolver = Resolver(reactor=reactor, random=random, nameservers=lambda: nameservers or system_nameservers())
    return Locator(reactor=reactor, resolver=resolver, random=random, timeout=timeout, find_addresses=bool(nameservers))


def _connections(domain: DomainSettings, threads: int, *, secret: Secret, folder: Path) -> Connections:
    trusted = None
    if domain.ca_file is not None:
        password = None if domain.ca_password is None else _secret(secret, domain.ca_password)
        trusted = read_trusted(folder / domain.ca_file, password)
    dial = LDAPDialler(
        ldaps=domain.ldaps,
        start_tls=domain.start_tls,
        trusted_pem=trusted,
        connect_timeout=domain.connect_timeout,
        read_timeout=domain.read_timeout,
    )
    return Connections(dial, _credentials(domain, secret=secret, folder=folder), max_kept=threads)


def _credentials(domain: DomainSettings, *, secret: Secret, folder: Path) -> Credentials:
    if domain.kerberos is not None:
        _check_gssapi()
        principal = domain.kerberos.principal
        keytab = folder / domain.kerberos.keytab
        if not keytab.is_file():
            raise Unavailable(f"{keytab} does not exist")
        return Kerberos(principal if "@" in principal else f"{principal}@{domain.name.upper()}", keytab)
    assert domain.user is not None  # the model saw to both
    assert domain.password is not None
    try:
        password = _secret(secret, domain.password).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the password of {domain.user} is not UTF-8") from error
    if not password:
        raise Malformed(f"the password of {domain.user} is empty")
    return Simple(domain.user, password)


def _check_gssapi() -> None:
    try:
        import gssapi  # noqa: F401
    except ImportError as error:
        raise Unavailable('Kerberos needs the package gssapi: pip install "cspd[kerberos]"') from error


def _secret(secret: Secret, reference: SecretReference) -> bytes:
    try:
        return secret(reference)
    except ValueError as error:
        raise Unavailable(str(error)) from error


def _nameservers(texts: Sequence[str]) -> tuple[Nameserver, ...]:
    """``192.0.2.53``, ``192.0.2.53:53``, ``2001:db8::53`` or ``[2001:db8::53]:53``; raises Malformed."""
    found = []
    for text in texts:
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and not host.startswith("[")):
            host, port = text, "53"
        try:
            found.append((str(ipaddress.ip_address(host.strip("[]"))), int(port)))
        except ValueError:
            raise Malformed(f"settings.dns_servers: {text[:60]!r} is not an address, such as 192.0.2.53:53") from None
    return tuple(found)
