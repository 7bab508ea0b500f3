"""The daemon whose users are those of Active Directory; curl enrolls by EST as one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.test_est_clients import Site
from tests.support.daemon import Daemon
from tests.support.samba_ad import PASSWORD, SambaAD

pytestmark = pytest.mark.interop


def test_users_of_the_directory_enroll_and_a_reload_does_not_wait_for_it(samba: SambaAD, tmp_path: Path) -> None:
    domain = samba.domain_settings(ca_file="ad-ca.pem", password={"env": "LDAP_PASSWORD"})
    changes = {
        "authentication.windows.kind": "active-directory",
        "authentication.windows.settings.domains": [domain],
        "protocols.est.users": ["windows"],
    }
    environment = {"LDAP_PASSWORD": PASSWORD}
    with Daemon(tmp_path, changes=changes, environment=environment, start=False) as daemon:
        (daemon.folder / "ad-ca.pem").write_bytes(samba.ca_file.read_bytes())
        daemon.start()
        (tmp_path / "client").mkdir()
        site = Site(daemon, tmp_path / "client")
        for name in ("alice", "CSPD\\alice", "alice@cspd.test"):
            _, csr = site.request(f"device-{name.encode().hex()}"[:40])
            assert site.post("simpleenroll", csr, "--user", f"{name}:{PASSWORD}")[0] == 200
        for who in ("alice:wrong", "disabled:" + PASSWORD, "alice:"):
            assert site.post("simpleenroll", csr, "--user", who)[0] == 401
        daemon.reload()
        assert site.post("simpleenroll", csr, "--user", f"bob:{PASSWORD}")[0] == 200
