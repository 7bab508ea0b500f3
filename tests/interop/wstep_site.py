"""The demonstration's daemon with Windows enrollment switched on, and clients of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.samba_ad import PASSWORD, SambaAD
from tests.support.wstep_client import WSTEPClient

CA = "demo~issuing"
USER_URL, KERBEROS_URL = f"/wstep/usertoken/services/demo/{CA}", f"/wstep/kerberos/services/demo/{CA}"
STATIC_PASSWORD = "a static <Passw0rd> & more"
ALIAS = f"/{CA}_CES_UsernamePassword/service.svc/CES"


def static_daemon(tmp_path: Path, more: Mapping[str, Any] | None = None) -> Daemon:
    """A daemon that knows ``alice`` and ``bob@example.com`` by its configuration, of which ``more`` is changed."""
    users = [{"name": name, "password": {"env": "STATIC_PASSWORD"}} for name in ("alice", "bob@example.com")]
    service = {"ca": CA, "templates": {"Mapped": "wstep-key-encipherment"}}
    changes = {
        "authentication.windows.users": users,
        "protocols.wstep": {"users": ["windows"], "services": [service]},
        **(more or {}),
    }
    return _daemon(tmp_path, changes, {"STATIC_PASSWORD": STATIC_PASSWORD})


def directory_daemon(
    tmp_path: Path,
    samba: SambaAD,
    *,
    domain: Mapping[str, Any] | None = None,
    keytab: str | None = "http",
    host: str = "ca",
    service: Mapping[str, Any] | None = None,
    cache: str | None = None,
) -> Daemon:
    """A daemon that asks a Samba domain; ``keytab`` None: without Kerberos, ``cache``: how long templates are kept."""
    listed = {"ca": CA, "enrollment_services": ["CSPD WSTEP"], **(service or {})}
    wstep: dict[str, Any] = {"users": ["windows"], "services": [listed], "policy": {}}
    if keytab is not None:
        wstep["kerberos"] = {
            "keytab": str(samba.keytab(keytab)),
            "principal": f"HTTP/{host}.{samba.domain}",
            "replay_cache": "replays",
        }
    changes = {
        "authentication.windows.kind": "active-directory",
        "authentication.windows.settings.domains": [samba.domain_settings(**(domain or {}))],
        "protocols.wstep": wstep,
    }
    if cache is not None:
        changes["authentication.windows.settings.cache"] = cache
    return _daemon(tmp_path, changes, {"LDAP_PASSWORD": PASSWORD, "KRB5_CONFIG": str(samba.krb5_conf)})


def client(daemon: Daemon, user: str | None = None, password: str = PASSWORD, *, path: str = USER_URL) -> WSTEPClient:
    """Somebody who enrolls by user name and password; None sends neither."""
    return WSTEPClient(daemon.https_url + path, daemon.root_pem, user=user, password=password)


def _daemon(tmp_path: Path, changes: Mapping[str, Any], environment: Mapping[str, str]) -> Daemon:
    listener = ["acme", "cmp", "est", "mdm", "ocsp", "repository", "scep", "tsp", "wstep"]
    return Daemon(
        tmp_path, changes={"listeners.https.protocols": listener, **changes}, environment=environment, start=False
    )
