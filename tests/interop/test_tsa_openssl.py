"""openssl and curl get timestamps from the real daemon, for every hash and every type of key, and verify them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.tsp.evidence import Expectation, Flaw, Report
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.verification import verify
from tests.support.daemon import Daemon
from tests.support.processes import program, run, wait_until
from tests.support.softhsm import SoftHSM
from tests.support.timestamping import DEMO_POLICY, HASHES, TimestampClient, issuer_entry

pytestmark = pytest.mark.interop

KEY_TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521")
WITHOUT_HASH = ("ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
IN_TOKEN = ("rsa-2048", "ec-p256", "ec-p384")


def issuers() -> list[dict[str, Any]]:
    return [
        issuer_entry("demo"),
        issuer_entry("all-hashes", allowed_hashes=list(HASHES)),
        issuer_entry("qualified", qualified=True, serial_bytes=20, tsa_name=True, ordering=True, policy="1.2.3.4"),
        *(issuer_entry(f"of-{each}", key_type=each, keys="software") for each in KEY_TYPES + WITHOUT_HASH),
        *(issuer_entry(f"token-{each}", key_type=each, keys="token") for each in IN_TOKEN),
        *(issuer_entry(f"by-{each}", signature_digest=each, allowed_hashes=list(HASHES)) for each in HASHES[1:5]),
    ]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("tsa")
    changes = {"protocols.tsp.issuers": issuers(), "log.format": "json"}
    with Daemon(folder, token=SoftHSM(folder / "hsm"), changes=changes) as daemon:
        # Long RSA keys take their time, on a slow machine more than a request may wait.
        units = len(issuers())
        wait_until(lambda: daemon.output().count(" signs with the key ") >= units, what="all units", seconds=240)
        yield daemon


@pytest.fixture
def client(tmp_path: Path, daemon: Daemon) -> TimestampClient:
    return TimestampClient(tmp_path, daemon)


@pytest.mark.requirement("R-TSA-001", "R-TSA-020")
@pytest.mark.parametrize("digest", HASHES[1:5])
def test_guide_s_acceptance_test(client: TimestampClient, digest: str) -> None:
    client.timestamp("demo", digest=digest)


@pytest.mark.parametrize("digest", HASHES)
def test_every_hash_that_is_listed(client: TimestampClient, digest: str) -> None:
    client.timestamp("all-hashes", digest=digest)


@pytest.mark.requirement("R-TSA-021", "R-TSA-022")
@pytest.mark.parametrize("digest", ["sha1", "sha3-256", "md5"])
def test_hash_that_is_not_listed(client: TimestampClient, digest: str) -> None:
    client.make_query(digest=digest)
    assert client.post("demo") == 200
    assert client.rejection() == ("Rejected.", "unrecognized or unsupported algorithm identifier")


@pytest.mark.requirement("R-TSA-035", "R-TSA-071")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_every_type_of_key(client: TimestampClient, key_type: str) -> None:
    client.timestamp(f"of-{key_type}")


@pytest.mark.parametrize("key_type", IN_TOKEN)
def test_keys_in_a_token(client: TimestampClient, key_type: str) -> None:
    client.timestamp(f"token-{key_type}")


@pytest.mark.requirement("R-TSA-031")
@pytest.mark.parametrize("digest", HASHES[1:5])
def test_every_digest_of_the_signature(client: TimestampClient, digest: str) -> None:
    client.timestamp(f"by-{digest}")


@pytest.mark.parametrize("key_type", KEY_TYPES + WITHOUT_HASH)
def test_our_verification_agrees_and_notices_other_data(client: TimestampClient, key_type: str) -> None:
    client.make_query()
    assert client.post(f"of-{key_type}") == 200
    root = x509.load_pem_x509_certificate(client.daemon.root_pem.read_bytes())

    def report(data: bytes) -> Report:
        expected = Expectation(digest_of=lambda algorithm: digest_function(algorithm)(data))
        return verify(client.reply.read_bytes(), trust_anchors=[root], expectation=expected)

    assert report(client.data.read_bytes()).findings == ()
    assert [finding.flaw for finding in report(b"other").findings] == [Flaw.IMPRINT]


@pytest.mark.parametrize("key_type", WITHOUT_HASH)
def test_signature_is_that_of_the_certificate_s_key_where_openssl_cannot_verify_it(
    client: TimestampClient, key_type: str
) -> None:
    client.make_query()
    assert client.post(f"of-{key_type}") == 200
    signed = client.token()["content"]
    [signer] = signed["signer_infos"]
    certificates = [x509.load_der_x509_certificate(each.chosen.dump()) for each in signed["certificates"]]
    serial = signer["sid"].chosen["serial_number"].native
    [public_key] = [each.public_key() for each in certificates if each.serial_number == serial]
    kinds = (ed25519.Ed25519PublicKey, mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
    assert isinstance(public_key, kinds)
    attributes: cms.CMSAttributes = signer["signed_attrs"]
    public_key.verify(signer["signature"].native, attributes.untag().dump())


@pytest.mark.requirement("R-TSA-032")
def test_without_cert_there_are_no_certificates_and_the_token_verifies_with_them_from_elsewhere(
    client: TimestampClient, tmp_path: Path
) -> None:
    client.timestamp("demo")
    certificates = tmp_path / "certificates.pem"
    certificates.write_text(
        "".join(
            x509.load_der_x509_certificate(each.chosen.dump()).public_bytes(Encoding.PEM).decode()
            for each in client.token()["content"]["certificates"]
        )
    )
    client.make_query("-no_nonce")
    assert client.post("demo") == 200
    assert client.token()["content"]["certificates"].native is None
    command = [program("openssl"), "ts", "-verify", "-in", client.reply, "-queryfile", client.query]
    assert "Verification: OK" in run([*command, "-CAfile", client.daemon.root_pem, "-untrusted", certificates]).stdout


@pytest.mark.requirement("R-TSA-002", "R-TSA-023", "R-TSA-026", "R-TSA-030", "R-TSA-036")
def test_issuers_of_one_daemon_each_follow_their_profile(client: TimestampClient) -> None:
    client.timestamp("qualified", "-cert", "-tspolicy", "1.2.3.4")
    text = run([program("openssl"), "ts", "-reply", "-in", client.reply, "-text"]).stdout
    assert "Policy OID: 1.2.3.4" in text
    assert "Ordering: yes" in text
    assert "qcStatements" in text
    assert "TSA: DirName:" in text
    assert len(client.tst_info()["serial_number"].contents) == 20
    client.timestamp("demo")
    assert client.tst_info()["policy"].native == DEMO_POLICY


@pytest.mark.requirement("R-TSA-023")
def test_policy_of_somebody_else(client: TimestampClient) -> None:
    client.make_query("-tspolicy", "1.2.3.4")
    assert client.post("demo") == 200
    assert client.rejection() == ("Rejected.", "the requested TSA policy is not supported by the TSA")


def test_each_kind_of_request_is_in_the_daemon_s_log(client: TimestampClient) -> None:
    """By its own program's eyes, with the guide's filter for one issuer."""
    client.timestamp("by-sha384")
    client.make_query(digest="md5")
    client.post("by-sha384")
    lines = [line for line in client.daemon.output().splitlines() if '"endpoint": "by-sha384"' in line]
    assert [json.loads(line)["msg"] for line in lines][-2:] == [
        "ProcessTimeStampRequest.Succeeded",
        "ProcessTimeStampRequest.Failed",
    ]
