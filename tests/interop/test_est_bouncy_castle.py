"""Bouncy Castle's EST client, of Debian's libbcpkix-java and libbctls-java, against the real daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.test_est_clients import site_of
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

JARS = [Path(f"/usr/share/java/{name}.jar") for name in ("bcpkix", "bcprov", "bctls", "bcutil")]
DEMO = {"id": "demo", "ca": "demo~issuing", "profile": "tls-client"}
BOUND = {**DEMO, "id": "bound", "channel_binding": "required"}
CONVERSATION = Path(__file__).with_name("ESTConversation.java")


@pytest.mark.requirement("R-CEG-149")
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_bouncy_castle_enrolls_renews_and_gets_a_key(tmp_path: Path, version: str) -> None:
    missing = [jar.name for jar in JARS if not jar.exists()]
    assert not missing, "libbctls-java is not installed; .ci/install-counterparts installs it"
    with site_of(tmp_path, labels=[DEMO, BOUND]) as site:
        user, password = site.user.split(":")
        server = f"localhost:{site.daemon.https_port}"
        classes = ":".join(map(str, JARS))
        arguments = [server, "demo", site.daemon.root_pem, user, password, version, site.folder]
        done = run([program("java"), "-cp", classes, CONVERSATION, *arguments], seconds=240)
        said = [line for line in done.stdout.splitlines() if line.startswith(("extensionRequest", "wrong"))]
        assert said == ["extensionRequest true", "wrong password: 401"]
        openssl, folder = program("openssl"), site.folder
        assert (folder / "ca.pem").read_text().count("BEGIN CERTIFICATE") == 2
        issuing = site.daemon.issuing_pem.read_text()
        names = ["first", "second", "third"] + (["fourth"] if version == "TLSv1.2" else [])
        parties = [site.party((folder / f"{name}.pem").read_text() + issuing) for name in names]
        for party in parties:
            party.verify("-purpose", "sslclient")
            assert party.ocsp() == "good"
        assert len({party.serial for party in parties}) == len(names)
        of_key = run([openssl, "pkey", "-inform", "DER", "-in", folder / "third.key", "-pubout"]).stdout
        assert of_key == run([openssl, "x509", "-in", folder / "third.pem", "-noout", "-pubkey"]).stdout
