"""The TLS of each listener: loaded and checked from conf, or a certificate of our own making (R-PLAT-020)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from cspd.config.configuration import Configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.config.secrets import Secrets, SecretUnavailable
from cspd.http.config import ListenerConfig, TLSConfig
from cspd.http.selfsigned import self_signed
from cspd.http.tls import Credentials, ServerTLS, TLSProblems, load_credentials

SELF_SIGNED_FOLDER = "self-signed"
"""Below the state folder."""


def load_tls(configuration: Configuration, *, now: datetime) -> Mapping[str, ServerTLS]:
    """What each listener with TLS shows, by the listener's name; raises ConfigurationRefused.

    A self-signed certificate is made once and kept in the state folder, so that clients that were told to trust it can
    go on.
    """
    loaded: dict[str, ServerTLS] = {}
    problems: list[Problem] = []
    for name, listener in configuration.root.listeners.items():
        if listener.tls is None:
            continue
        try:
            if listener.tls.certificate is None:
                credentials = _own_credentials(configuration, name, listener, now)
            else:
                credentials = read_credentials(
                    listener.tls, folder=configuration.folder, secrets=configuration.secrets, now=now
                )
            loaded[name] = ServerTLS(credentials, listener.tls, directory=configuration.folder)
        except TLSProblems as error:
            problems += [
                Problem(what=str(problem), key=("listeners", name, "tls"), file=configuration.path)
                for problem in error.problems
            ]
        except SecretUnavailable as error:
            problems.append(
                Problem(what=str(error), key=("listeners", name, "tls", "passphrase"), file=configuration.path)
            )
        except OSError as error:
            what = f"the self-signed certificate cannot be kept: {error}"
            problems.append(Problem(what=what, key=("listeners", name, "tls"), file=configuration.path))
    if problems:
        raise ConfigurationRefused(problems)
    return loaded


def read_credentials(tls: TLSConfig, *, folder: Path, secrets: Secrets, now: datetime) -> Credentials:
    """The certificate and key that conf names; raises TLSProblems, and SecretUnavailable for the passphrase."""
    passphrase = None if tls.passphrase is None else secrets.resolve(tls.passphrase)
    return load_credentials(tls, now=now, passphrase=passphrase, directory=folder)


def _own_credentials(configuration: Configuration, name: str, listener: ListenerConfig, now: datetime) -> Credentials:
    folder = configuration.state / SELF_SIGNED_FOLDER
    kept = TLSConfig(
        certificate=str(folder / f"{name}.pem"),
        key=str(folder / f"{name}.key"),
        host_names=(configuration.root.server.hostname,),
    )
    try:
        return load_credentials(kept, now=now)
    except TLSProblems:  # there is none yet, or it has expired
        pass
    host, _ = listener.address
    addresses = [] if ip_address(host).is_unspecified else [host]
    made = self_signed([configuration.root.server.hostname], addresses, now=now)
    folder.mkdir(mode=0o700, exist_ok=True)
    _replace(folder / f"{name}.key", made.private_key_pem())
    _replace(folder / f"{name}.pem", made.certificate_pem())
    return made


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    beside.replace(file)
