"""Folders with a configuration, for tests of the loader."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cspd.config.secrets import SecretStore
from cspd.http.selfsigned import self_signed
from tests.support.clocks import FrozenClock

SOUND = """\
[server]
mode = "demo"
hostname = "pki.example.com"

[tenants]
ids = ["demo"]

[keys.software]
master_key = { store = "software-master-key" }

[listeners.http]
endpoint = "tcp:8080"
protocols = ["ocsp", "repository"]

[listeners.https]
endpoint = "tcp:8443"
protocols = ["acme"]

[listeners.https.tls]
certificate = "tls.pem"
key = "tls.key"

[protocols.acme]

[protocols.ocsp]

[protocols.repository]
"""
"""A small configuration without problems; its lines are what tests change."""


def write_tls(folder: Path, hostname: str, *, validity: timedelta = timedelta(days=90), name: str = "tls") -> None:
    """A certificate and its key in ``tls.pem`` and ``tls.key``."""
    made = self_signed([hostname], [], now=FrozenClock().now(), validity=validity)
    (folder / f"{name}.pem").write_bytes(made.certificate_pem())
    (folder / f"{name}.key").write_bytes(made.private_key_pem())
    (folder / f"{name}.key").chmod(0o600)


def install(folder: Path, text: str = SOUND) -> Path:
    """An installation with that ``cspd.toml``, whose path is given."""
    file = folder / "cspd.toml"
    file.write_text(text)
    file.chmod(0o640)
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    SecretStore(folder / "state" / "secrets").set("software-master-key", b"0" * 64)
    write_tls(folder, "pki.example.com")
    return file
