"""Checks between sections, and of what the configuration refers to: files, secrets, users, protocols."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from cryptography import x509
from pydantic import BaseModel
from sqlalchemy import make_url

from cspd.authentication.config import AuthenticationName
from cspd.config.configuration import EnabledProtocol
from cspd.config.files import Tree
from cspd.config.inspection import Inspected, InspectedWithSecrets, Inspection
from cspd.config.problems import KeyPath, Problem
from cspd.config.secrets import Secrets, SecretUnavailable, looser_than
from cspd.config.sentences import nearest_name
from cspd.config.values import SecretReference, Section
from cspd.http.config import ListenerConfig, TLSConfig
from cspd.http.hostnames import names_of, unmatched
from cspd.http.outbound.client import read_trust
from cspd.http.tls import ServerTLS, TLSProblems, load_credentials
from cspd.plugin import ProtocolDeclaration
from cspd.x509.certificate_paths import UNREADABLE

CONF_MODE = 0o640  # R-PLAT-126
SECRET_MODE = 0o600
STATE_MODE = 0o700
_MAX_SOCKET_PATH = 107  # sun_path of unix(7), with its closing zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is known of a configuration while it is checked: the sections that are sound by themselves."""

    tree: Tree
    folder: Path
    sections: Mapping[str, Any]
    listeners: Mapping[str, ListenerConfig]
    declarations: Mapping[str, ProtocolDeclaration]
    protocols: Mapping[str, EnabledProtocol]
    connectors: Mapping[KeyPath, Section]
    """The settings of connectors, by their key."""
    secrets: Secrets
    now: datetime

    @property
    def server(self) -> Any:
        """The ``[server]`` section; None if it is not sound."""
        return self.sections.get("server")

    @property
    def is_demo(self) -> bool:
        """Whether what is insecure is nothing to speak of."""
        return self.server is not None and self.server.mode == "demo"

    def allows(self, insecure: str) -> bool:
        """Whether conf allows it by name."""
        return self.server is None or insecure in self.server.allow_insecure


@dataclass(slots=True)
class Findings:
    """What the checks found."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check(draft: Draft) -> Findings:
    """Run every check."""
    findings = Findings()
    for find in _PROBLEMS:
        findings.problems += find(draft)
    insecurities = _inspect_protocols(draft, findings) + _inspect_connectors(draft, findings)
    findings.warnings += _tls_warnings(draft)
    findings.warnings += _database_warnings(draft)
    insecurities += [(insecure, problem) for insecure, find in _INSECURITIES for problem in find(draft)]
    if draft.server is None or draft.is_demo:
        return findings
    for insecure, problem in insecurities:
        if draft.allows(insecure):
            findings.warnings.append(problem)
        else:
            findings.problems.append(_with_permission(problem, insecure))
    return findings


def _inspect_protocols(draft: Draft, findings: Findings) -> list[tuple[str, Problem]]:
    """Add what protocols find in their sections; gives what production refuses unless it is allowed."""
    insecurities: list[tuple[str, Problem]] = []
    for name, protocol in draft.protocols.items():
        for inspection in _inspections(draft, protocol.settings):
            insecurities += _add(inspection, ("protocols", name), draft, findings)
            findings.warnings += _strangers_to_tls(draft, name, inspection)
    return insecurities


def _inspect_connectors(draft: Draft, findings: Findings) -> list[tuple[str, Problem]]:
    """The same for the settings of connectors."""
    return [
        insecurity
        for key, settings in draft.connectors.items()
        for inspection in _inspections(draft, settings)
        for insecurity in _add(inspection, key, draft, findings)
    ]


def _add(inspection: Inspection, key: KeyPath, draft: Draft, findings: Findings) -> list[tuple[str, Problem]]:
    findings.problems += [_at_home(draft, key, each) for each in inspection.problems]
    findings.warnings += [_at_home(draft, key, each) for each in inspection.warnings]
    return [(insecure, _at_home(draft, key, each)) for insecure, each in inspection.insecurities]


def _inspections(draft: Draft, settings: Section) -> Iterator[Inspection]:
    if isinstance(settings, Inspected):
        yield settings.inspect(draft.folder, draft.now)
    if isinstance(settings, InspectedWithSecrets):
        yield settings.inspect_secrets(draft.folder, draft.now, draft.secrets.resolve)


def _strangers_to_tls(draft: Draft, name: str, inspection: Inspection) -> Iterator[Problem]:
    """CAs that a protocol trusts, and no listener of its does: their clients fail before the protocol hears of them."""
    known: set[x509.Certificate] = set()
    for listener in draft.listeners.values():
        if name in listener.protocols and listener.tls is not None:
            for file in listener.tls.client_trust_files:
                known.update(_certificates_in(draft.folder / file))
    for key, file in inspection.client_trust:
        if set(_certificates_in(draft.folder / file)) - known:
            what = f'has CAs whose clients no listener of "{name}" lets through TLS'
            yield draft.tree.problem(("protocols", name, *key), what, "Add the file to client_trust of the listener")


def _certificates_in(file: Path) -> Sequence[x509.Certificate]:
    """None for a file that cannot be read, which is a problem of its own."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, *UNREADABLE):
        return ()


def _at_home(draft: Draft, key: KeyPath, found: Problem) -> Problem:
    return draft.tree.problem((*key, *found.key), found.what, found.remedy)


def _with_permission(problem: Problem, insecure: str) -> Problem:
    allow = f'or allow it: server.allow_insecure = ["{insecure}"]'
    remedy = f"{problem.remedy}, {allow}" if problem.remedy else allow.capitalize()
    return Problem(what=problem.what, remedy=remedy, key=problem.key, file=problem.file, line=problem.line)


def _protocols_of_listeners(draft: Draft) -> Iterator[Problem]:
    switched_on = _names_in_protocols(draft)
    for name, listener in draft.listeners.items():
        for index, protocol in enumerate(listener.protocols):
            key = ("listeners", name, "protocols", index)
            if protocol in switched_on:
                declaration = draft.declarations.get(protocol)
                if declaration is not None and not declaration.plain_http and listener.tls is None:
                    yield draft.tree.problem(
                        key,
                        f'"{protocol}" must not be served without TLS',
                        f"Move it to a listener with TLS, or add [listeners.{name}.tls]",
                    )
            elif protocol in draft.declarations:
                yield draft.tree.problem(key, f'"{protocol}" is not switched on', f"Add [protocols.{protocol}]")
            else:
                remedy = nearest_name(protocol, sorted(draft.declarations))
                yield draft.tree.problem(key, f'there is no protocol "{protocol}"', remedy)


def _protocols_without_listener(draft: Draft) -> Iterator[Problem]:
    written = draft.tree.values.get("listeners")
    if not isinstance(written, dict) or len(written) != len(draft.listeners):
        return  # a listener that is not sound may be the one that has it
    served = {protocol for listener in draft.listeners.values() for protocol in listener.protocols}
    for name in _names_in_protocols(draft):
        if name in draft.declarations and name not in served:
            yield draft.tree.problem(
                ("protocols", name), "is served by no listener", f'Add "{name}" to the protocols of a listener'
            )


def _names_in_protocols(draft: Draft) -> list[str]:
    """The protocols that conf switches on, sound or not."""
    tables = draft.tree.values.get("protocols")
    if not isinstance(tables, dict):
        return []
    return [
        name for name, table in tables.items() if isinstance(table, dict) and table.get("enabled", True) is not False
    ]


def _same_endpoint_twice(draft: Draft) -> Iterator[Problem]:
    seen: dict[tuple[str, int], str] = {}
    for name, listener in draft.listeners.items():
        if (other := seen.setdefault(listener.address, name)) != name:
            yield draft.tree.problem(
                ("listeners", name, "endpoint"), f'is the endpoint of listener "{other}" too', "Give each its own"
            )


def _tls_files(draft: Draft) -> Iterator[Problem]:
    for name, listener in draft.listeners.items():
        tls = listener.tls
        if tls is None or tls.certificate is None:
            continue
        try:
            passphrase = None if tls.passphrase is None else draft.secrets.resolve(tls.passphrase)
            credentials = load_credentials(tls, now=draft.now, passphrase=passphrase, directory=draft.folder)
            ServerTLS(credentials, tls, directory=draft.folder)
        except SecretUnavailable:
            continue  # has its own problem
        except TLSProblems as error:
            for problem in error.problems:
                key = _tls_key(tls, problem.file, draft.folder)
                yield draft.tree.problem(("listeners", name, "tls", key), str(problem))


def _outbound_trust(draft: Draft) -> Iterator[Problem]:
    outbound = draft.sections.get("outbound")
    if outbound is not None and outbound.ca_file is not None:
        try:
            read_trust(draft.folder / outbound.ca_file)
        except ValueError as error:
            yield draft.tree.problem(("outbound", "ca_file"), str(error), "Name a PEM file of CA certificates")


def _tls_key(tls: TLSConfig, file: str, folder: Path) -> str:
    """Which key of ``[listeners.NAME.tls]`` a problem is about."""
    for key, files in (
        ("key", (tls.key,)),
        ("client_trust", tls.client_trust_files),
        ("certificate", (tls.certificate,)),
    ):
        if any(each is not None and file in (each, str(folder / each)) for each in files):
            return key
    return "ciphers" if file == "ciphers" else "certificate"


def _tls_warnings(draft: Draft) -> Iterator[Problem]:
    """A certificate that ends soon, or is not for the name of this server (R-CEG-155, R-CEG-156)."""
    for name, listener in draft.listeners.items():
        tls = listener.tls
        if tls is None or tls.certificate is None:
            continue
        try:
            passphrase = None if tls.passphrase is None else draft.secrets.resolve(tls.passphrase)
            credentials = load_credentials(tls, now=draft.now, passphrase=passphrase, directory=draft.folder)
        except (SecretUnavailable, TLSProblems):
            continue
        key = ("listeners", name, "tls", "certificate")
        if draft.now + tls.expiry_warning >= credentials.expires:
            yield draft.tree.problem(
                key, f"the certificate ends on {credentials.expires:%Y-%m-%d %H:%M} UTC", "Renew it"
            )
        if draft.server is not None and unmatched(credentials.certificate, (draft.server.hostname,)):
            what = f"the certificate is not for {draft.server.hostname}, the name of this server"
            yield draft.tree.problem(
                key, what, f"Get one for it, beside {', '.join(names_of(credentials.certificate))}"
            )


def _self_signed_tls(draft: Draft) -> Iterator[Problem]:
    for name, listener in draft.listeners.items():
        if listener.tls is not None and listener.tls.certificate is None:
            yield draft.tree.problem(
                ("listeners", name, "tls"),
                "has no certificate, so that a self-signed one will be used",
                "Set certificate and key",
            )


def _software_keys(draft: Draft) -> Iterator[Problem]:
    keys = draft.sections.get("keys")
    if keys is not None and keys.software is not None:
        yield draft.tree.problem(
            ("keys", "software"), "keeps private keys outside a token", "Keep them in a [keys.pkcs11.NAME]"
        )


def _unverified_database(draft: Draft) -> Iterator[Problem]:
    """A server elsewhere; one on this machine is only warned about."""
    if not _is_database_local(draft):
        yield from _database_without_proof(draft)


def _database_warnings(draft: Draft) -> Iterator[Problem]:
    if draft.is_demo or _is_database_local(draft):
        yield from _database_without_proof(draft)


def _database_without_proof(draft: Draft) -> Iterator[Problem]:
    store = draft.sections.get("store")
    if store is not None and store.url.startswith("postgresql") and store.tls.mode != "verify-full":
        yield draft.tree.problem(
            ("store", "tls", "mode"), "does not prove which database server answers", 'Use "verify-full"'
        )


def _is_database_local(draft: Draft) -> bool:
    store = draft.sections.get("store")
    return store is not None and make_url(store.url).host in (None, "localhost", "127.0.0.1", "::1")


def _secrets(draft: Draft) -> Iterator[Problem]:
    for key, reference in _secret_references(draft):
        try:
            draft.secrets.resolve(reference)
        except SecretUnavailable as error:
            yield draft.tree.problem(key, str(error), _secret_remedy(reference))


def _secret_remedy(reference: SecretReference) -> str:
    if reference.store is not None:
        return f"Set it with `cspctl secret set {reference.store}`"
    if reference.env is not None:
        return "Set it in the environment of the daemon"
    return "Make the file with mode 0600, owned by the user that runs the daemon"


def _loose_secret_files(draft: Draft) -> Iterator[Problem]:
    for key, reference in _secret_references(draft):
        file = draft.secrets.path(reference)
        if file is not None and (mode := looser_than(file, SECRET_MODE)) is not None:
            yield draft.tree.problem(key, f"{file} has mode {mode:04o}", f"Run `chmod 0600 {file}`")


def _loose_tls_keys(draft: Draft) -> Iterator[Problem]:
    for name, listener in draft.listeners.items():
        if listener.tls is None or listener.tls.key is None:
            continue
        file = draft.folder / listener.tls.key
        if (mode := looser_than(file, SECRET_MODE)) is not None:
            key = ("listeners", name, "tls", "key")
            yield draft.tree.problem(key, f"{file} has mode {mode:04o}", f"Run `chmod 0600 {file}`")


def _loose_conf_files(draft: Draft) -> Iterator[Problem]:
    for file in draft.tree.files:
        if (mode := looser_than(file, CONF_MODE)) is not None:
            yield Problem(what=f"has mode {mode:04o}", remedy=f"Run `chmod 0640 {file}`", file=file)


def _loose_state(draft: Draft) -> Iterator[Problem]:
    if draft.server is None:
        return
    folder = draft.folder / draft.server.state
    if folder.is_dir() and (mode := looser_than(folder, STATE_MODE)) is not None:
        yield draft.tree.problem(("server", "state"), f"{folder} has mode {mode:04o}", f"Run `chmod 0700 {folder}`")


def _state_folder(draft: Draft) -> Iterator[Problem]:
    if draft.server is not None and not (folder := draft.folder / draft.server.state).is_dir():
        yield draft.tree.problem(
            ("server", "state"), f"{folder} is not a folder", f"Make it with `mkdir -m 0700 {folder}`"
        )


def _user_and_group(draft: Draft) -> Iterator[Problem]:
    look_ups: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Any], str], ...] = (
        ("uid", pwd.getpwnam, pwd.getpwuid, "user"),
        ("gid", grp.getgrnam, grp.getgrgid, "group"),
    )
    for name, by_name, by_number, what in look_ups:
        value = getattr(draft.server, name, None)
        if value is None:
            continue
        try:
            (by_name if isinstance(value, str) else by_number)(value)
        except (KeyError, OverflowError):
            yield draft.tree.problem(("server", name), f"there is no such {what} on this machine", f"Make the {what}")


def _admin_socket(draft: Draft) -> Iterator[Problem]:
    admin = draft.sections.get("admin")
    if draft.server is None or admin is None:
        return
    socket = draft.folder / (admin.socket or Path(draft.server.state) / "admin.sock")
    if len(str(socket).encode()) > _MAX_SOCKET_PATH:
        yield draft.tree.problem(
            ("admin", "socket"),
            f"{socket} is too long for a Unix socket",
            f"Name a path of at most {_MAX_SOCKET_PATH} bytes, for example /run/cspd/admin.sock",
        )


def _log_folder(draft: Draft) -> Iterator[Problem]:
    log = draft.sections.get("log")
    if log is not None and log.file is not None and not (folder := (draft.folder / log.file).parent).is_dir():
        yield draft.tree.problem(("log", "file"), f"{folder} is not a folder", "Make it, or name another file")


def _secret_references(draft: Draft) -> Iterator[tuple[KeyPath, SecretReference]]:
    for name, section in draft.sections.items():
        if name != "protocols":
            yield from _references_in(section, (name,))
    for name, protocol in draft.protocols.items():
        yield from _references_in(protocol.settings, ("protocols", name))
    for key, settings in draft.connectors.items():
        yield from _references_in(settings, key)


def _references_in(value: Any, key: KeyPath) -> Iterator[tuple[KeyPath, SecretReference]]:
    if isinstance(value, SecretReference):
        yield key, value
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from _references_in(getattr(value, name), (*key, info.alias or name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _references_in(item, (*key, str(name)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _references_in(item, (*key, index))


def _unknown_users(draft: Draft) -> Iterator[Problem]:
    """Protocols name the ``[authentication.NAME]`` that know their users."""
    if (known := draft.sections.get("authentication")) is None:
        return
    for protocol, enabled in draft.protocols.items():
        for key, name in _names_of_authentication(enabled.settings, ("protocols", protocol)):
            if name not in known:
                remedy = nearest_name(name, sorted(known)) if known else "Add it"
                yield draft.tree.problem(key, f"there is no [authentication.{name}]", remedy)


def _names_of_authentication(value: Any, key: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            below, inner = (*key, info.alias or name), getattr(value, name)
            if AuthenticationName in get_args(info.annotation):
                yield from (((*below, index), each) for index, each in enumerate(inner))
            else:
                yield from _names_of_authentication(inner, below)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _names_of_authentication(item, (*key, index))


_PROBLEMS: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    _protocols_of_listeners,
    _protocols_without_listener,
    _same_endpoint_twice,
    _tls_files,
    _outbound_trust,
    _secrets,
    _unknown_users,
    _state_folder,
    _user_and_group,
    _admin_socket,
    _log_folder,
)

_INSECURITIES: tuple[tuple[str, Callable[[Draft], Iterator[Problem]]], ...] = (
    ("software-keys", _software_keys),
    ("self-signed-tls", _self_signed_tls),
    ("unverified-database-tls", _unverified_database),
    ("loose-permissions", _loose_secret_files),
    ("loose-permissions", _loose_tls_keys),
    ("loose-permissions", _loose_conf_files),
    ("loose-permissions", _loose_state),
)
"""What production refuses unless ``server.allow_insecure`` names it (R-PLAT-012, R-PLAT-126); protocols know of
more (:attr:`cspd.config.inspection.Inspection.insecurities`)."""
