"""Keys and certificates of the timestamping authority, through the real daemon: in a token, in files, and renewed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.protocols.tsp.unit_certificates import Hierarchy, write_pem
from tests.support.daemon import Daemon
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until
from tests.support.softhsm import SoftHSM
from tests.support.tsa_client import TSAClient, is_time_stamping

pytestmark = pytest.mark.interop


def issuer_of(daemon: Daemon) -> dict[str, Any]:
    """The issuer of the demonstration as its conf has it."""
    [issuer] = tomllib.loads(daemon.config.read_text())["protocols"]["tsp"]["issuers"]
    return dict(issuer)


def from_files(daemon: Daemon, certificate: str, *chain: str, **changes: Any) -> dict[str, Any]:
    """The same issuer with its certificate in files."""
    issuer = issuer_of(daemon)
    issuer.pop("certification", None)
    return {**issuer, "certificate": certificate, "ca_chain": list(chain), **changes}


@pytest.fixture
def client(tmp_path: Path) -> TSAClient:
    return TSAClient(tmp_path)


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    return SoftHSM(tmp_path / "hsm")


@pytest.fixture
def daemon(tmp_path: Path, hsm: SoftHSM) -> Iterator[Daemon]:
    with Daemon(tmp_path, token=hsm) as daemon:
        yield daemon


@pytest.mark.requirement("R-TSA-036")
@pytest.mark.requirement("R-TSA-066")
def test_units_with_their_keys_in_a_token(daemon: Daemon, client: TSAClient) -> None:
    """Our CA certifies a key of the token; two issuers share it from a file; a foreign certificate finds no key."""
    demo = issuer_of(daemon)["id"]
    answer = client.ask(daemon.http_url, demo)  # waits for the unit that the first start makes
    client.verify(answer, daemon.root_pem)
    unit = client.unit(answer)
    assert [key["reference"].split(":")[0] for key in daemon.cspctl_json("key", "list")].count("software") == 0

    files = save_certificates(daemon, client.certificates(answer))
    one, other = from_files(daemon, *files, id="one"), from_files(daemon, *files, id="other")
    daemon.change({"protocols.tsp.issuers": [one, other]})
    daemon.cspctl("config", "check")
    daemon.reload()
    for issuer in ("one", "other"):
        answer = client.ask(daemon.http_url, issuer)  # waits while its key is looked for in the token
        client.verify(answer, daemon.root_pem)
        assert client.unit(answer) == unit

    lost = Hierarchy(now=unit.not_valid_before_utc)
    write_pem(daemon.folder / "lost.pem", lost.unit())
    write_pem(daemon.folder / "lost-ca.pem", lost.issuing.certificate)
    daemon.change({"protocols.tsp.issuers": [one, {**other, "certificate": "lost.pem", "ca_chain": ["lost-ca.pem"]}]})
    daemon.reload()
    wait_until(
        lambda: "no key provider that answers has the key of its certificate, CN=unit" in daemon.output(),
        what="a clear message",
    )
    assert "Status: Rejected." in client.ask(daemon.http_url, "other").text
    assert client.unit(client.ask(daemon.http_url, "one")) == unit


def save_certificates(daemon: Daemon, certificates: list[x509.Certificate]) -> tuple[str, ...]:
    """The files of a unit and its chain, in the order of conf."""
    [unit] = [each for each in certificates if is_time_stamping(each)]
    authorities = [each for each in certificates if each != unit]
    issuing, root = sorted(authorities, key=lambda each: each.issuer == each.subject)
    files = {"unit.pem": unit, "issuing.pem": issuing, "root.pem": root}
    for name, certificate in files.items():
        write_pem(daemon.folder / name, certificate)
    return tuple(files)


@pytest.mark.requirement("R-TSA-066")
def test_a_token_that_is_away_at_the_start_is_found_when_it_comes(
    daemon: Daemon, client: TSAClient, hsm: SoftHSM
) -> None:
    files = save_certificates(daemon, client.certificates(client.ask(daemon.http_url, issuer_of(daemon)["id"])))
    daemon.change({"protocols.tsp.issuers": [from_files(daemon, *files, id="late")]})
    assert daemon.stop() == 0
    away = hsm.tokens.with_name("away")
    hsm.tokens.rename(away)
    hsm.tokens.mkdir()
    daemon.start()
    assert "Status: Rejected." in client.ask(daemon.http_url, "late").text
    said = "time-stamp issuer late signs nothing: no key provider that answers has the key"
    wait_until(lambda: said in daemon.output(), what="a clear message")
    hsm.tokens.rmdir()
    away.rename(hsm.tokens)
    wait_until(lambda: client.ask(daemon.http_url, "late").is_granted, what="the key of the token", seconds=120)


@pytest.mark.requirement("R-TSA-064")
@pytest.mark.requirement("R-TSA-065")
def test_bad_certificate_files_fail_the_check_and_the_reload(tmp_path: Path, client: TSAClient) -> None:
    with Daemon(tmp_path) as daemon:
        demo = issuer_of(daemon)["id"]
        assert client.ask(daemon.http_url, demo).is_granted
        daemon.change({"protocols.tsp.issuers": [from_files(daemon, "pki/issuing.pem", "pki/root.pem", "cspd.toml")]})
        done = daemon.cspctl("config", "check", expect=None)
        assert done.returncode != 0
        said = done.stdout
        assert f"protocols.tsp.issuers[0].ca_chain[1]: {daemon.config}: is not PEM" in said
        daemon.change({"protocols.tsp.issuers": [from_files(daemon, "pki/issuing.pem", "pki/root.pem")]})
        done = daemon.cspctl("config", "check", expect=None)
        said = done.stdout
        assert done.returncode != 0
        assert f"{daemon.issuing_pem}: has no extendedKeyUsage: timeStamping, critical, is required" in said
        assert f"{daemon.issuing_pem}: is a CA's certificate (basicConstraints)" in said
        daemon.reload()
        assert client.ask(daemon.http_url, demo).is_granted, "the old configuration goes on"


def test_two_nodes_renew_together_and_never_refuse(tmp_path: Path, client: TSAClient) -> None:
    """A unit every two seconds, made by whichever node; both change over, and every token verifies."""
    server = PostgreSQLServer()
    try:
        server.start()
        with Daemon(tmp_path, store_url=server.url(), start=False) as first:
            issuer = issuer_of(first)
            issuer["certification"]["key_lifetime"] = "2s"
            changes = {"protocols.tsp.issuers": [issuer], "protocols.tsp.renew_certificates": "* * * * * *"}
            first.change(changes)
            with first.another_node() as second:
                first.start()
                second.start()
                nodes = (first, second)
                seen: dict[Daemon, list[x509.Certificate]] = {first: [], second: []}

                def asked() -> bool:
                    for node in nodes:
                        answer = client.ask(node.http_url, issuer["id"])
                        assert answer.is_granted, answer.text
                        client.verify(answer, node.root_pem)
                        unit = client.unit(answer)
                        if unit not in seen[node]:
                            seen[node].append(unit)
                    return all(len(units) >= 4 for units in seen.values())

                wait_until(asked, what="four units", seconds=120)
                [(issued,)] = server.execute("SELECT count(*) FROM certificates WHERE protocol = 'tsp'")
                stored = {row[0] for row in server.execute("SELECT certificate_der FROM tsp_units")}
                for units in seen.values():
                    assert {each.public_bytes(Encoding.DER) for each in units} <= stored
                assert int(str(issued)) <= len(stored) + 1, "no node makes what another makes already"
    finally:
        server.remove()
