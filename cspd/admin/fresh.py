"""A new installation for production: nothing is served until an administrator has decided what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from cspd.admin.installation import write_private
from cspd.config.secrets import SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshOptions:
    """What ``cspctl init`` can be told."""

    hostname: str
    store_url: str = "sqlite:///store.sqlite"


def fill_fresh(folder: Path, options: FreshOptions) -> None:
    """Write ``cspd.toml``, ``conf.d`` and the secret store in an empty folder."""
    for each in (folder / "state", folder / "conf.d"):
        each.mkdir(mode=0o700)
    SecretStore(folder / "state" / "secrets").set("software-master-key", token_hex(32).encode())
    write_private(folder / "cspd.toml", fresh_configuration(options).encode(), 0o640)


def fresh_configuration(options: FreshOptions) -> str:
    """The text of the first ``cspd.toml``."""
    return f"""\
# The configuration of cspd; the reference configuration, conf/cspd.toml, explains every key.
# `cspctl config check` tells what is left to decide.

[server]
hostname = {json.dumps(options.hostname)}
state = "state"
# Keys of CAs belong into a token, [keys.pkcs11.NAME]. To keep them encrypted in the store all the same:
# allow_insecure = ["software-keys"]

[tenants]
ids = ["default"]

[store]
url = {json.dumps(options.store_url)}

[keys.software]
master_key = {{ store = "software-master-key" }}

# CRLs and OCSP have to be plain HTTP: a client that checks a certificate has no connection it trusts yet.
[listeners.http]
endpoint = "tcp:80"
protocols = ["ocsp", "repository"]

# [listeners.https]
# endpoint = "tcp:443"
# protocols = ["acme"]
# [listeners.https.tls]
# certificate = "tls.pem"
# key = "tls.key"
#
# [protocols.acme]

[protocols.ocsp]

[protocols.repository]
"""
