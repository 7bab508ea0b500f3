"""``openssl ocsp`` asks and verifies, on files; the service between them runs in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import Authority, CertificateState, RevocationReason
from cspd.clock import SystemClock
from cspd.keys.values import KeyType
from tests.protocols.ocsp.world import World
from tests.support.clocks import FrozenClock
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

GOOD, REVOKED, HELD, UNKNOWN = 0x1001, 2**158 + 0x77, 0x80, 0x4711


class Client:
    """The openssl program with one CA as its trust anchor."""

    def __init__(self, folder: Path, world: World, authority: Authority) -> None:
        self.folder, self.world, self.authority = folder, world, authority
        self.ca = folder / f"{authority.reference.ca_id}-{authority.key_index}.pem"
        assert authority.certificate is not None
        self.ca.write_bytes(authority.certificate.public_bytes(Encoding.PEM))

    def ask(self, *serials: int, options: tuple[str, ...] = (), digest: str = "-sha1") -> str:
        """Let openssl make the request, answer it, and give what openssl says about the answer."""
        request, response = self.folder / "request.der", self.folder / "response.der"
        openssl = program("openssl")
        asked = [argument for serial in serials for argument in ("-serial", hex(serial))]
        run([openssl, "ocsp", *options, digest, "-issuer", self.ca, *asked, "-reqout", request])
        response.write_bytes(self.world.post(request.read_bytes(), self.authority.reference.ca_id).body)
        # -no_nonce: openssl would replace the nonce of the request it reads. It still compares that one.
        return run(
            [
                *(openssl, "ocsp", "-no_nonce", "-reqin", request, "-respin", response),
                *(digest, "-issuer", self.ca, *asked, "-CAfile", self.ca),
            ]
        ).stdout


def world_of_today() -> World:
    return World(clock=FrozenClock(SystemClock().now()))


@pytest.mark.parametrize(
    "key_type",
    [
        KeyType.EC_P256,
        KeyType.EC_P384,
        KeyType.EC_P521,
        KeyType.RSA_2048,
        KeyType.RSA_4096,
        KeyType.ED25519,
        KeyType.ED448,
    ],
)
@pytest.mark.requirement("R-CA-051", "R-CA-052")
def test_openssl_verifies_good_revoked_held_and_unknown(tmp_path: Path, key_type: KeyType) -> None:
    world = world_of_today()
    authority = world.add_ca(ocsp_key_type=key_type)
    world.set_status(authority, GOOD)
    world.set_status(authority, REVOKED, CertificateState.REVOKED, RevocationReason.KEY_COMPROMISE)
    world.set_status(authority, HELD, CertificateState.HELD, RevocationReason.CERTIFICATE_HOLD)
    text = Client(tmp_path, world, authority).ask(GOOD, REVOKED, HELD, UNKNOWN)
    assert "Response verify OK" in text
    assert "WARNING" not in text  # openssl sent a nonce and misses none
    assert f"{GOOD:#x}: good" in text
    assert f"{REVOKED:#x}: revoked" in text
    assert "Reason: keyCompromise" in text
    assert f"{HELD:#x}: revoked" in text
    assert "Reason: certificateHold" in text
    assert f"{UNKNOWN:#x}: unknown" in text


@pytest.mark.parametrize("digest", ["-sha1", "-sha224", "-sha256", "-sha384", "-sha512"])
def test_openssl_may_hash_as_it_likes(tmp_path: Path, digest: str) -> None:
    world = world_of_today()
    authority = world.add_ca()
    world.set_status(authority, GOOD)
    text = Client(tmp_path, world, authority).ask(GOOD, digest=digest)
    assert "Response verify OK" in text
    assert f"{GOOD:#x}: good" in text


def test_openssl_without_nonce_gets_the_kept_answer(tmp_path: Path) -> None:
    world = world_of_today()
    authority = world.add_ca()
    world.set_status(authority, GOOD)
    client = Client(tmp_path, world, authority)
    for _ in range(2):
        text = client.ask(GOOD, options=("-no_nonce",))
        assert "Response verify OK" in text
        assert f"{GOOD:#x}: good" in text


def test_openssl_signs_its_request(tmp_path: Path) -> None:
    """The signature, with its certificates, is read past."""
    world = world_of_today()
    authority = world.add_ca()
    world.set_status(authority, GOOD)
    key, certificate = tmp_path / "client.key", tmp_path / "client.pem"
    run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client"),
            *("-keyout", key, "-out", certificate, "-days", "1"),
        ]
    )
    client = Client(tmp_path, world, authority)
    text = client.ask(GOOD, options=("-signer", str(certificate), "-signkey", str(key)))
    assert "Response verify OK" in text


def test_openssl_trusts_the_responder_of_either_key_after_a_re_key(tmp_path: Path) -> None:
    world = world_of_today()
    old = world.add_ca()
    new = world.rekey(old)
    world.set_status(old, GOOD)
    world.set_status(new, REVOKED, CertificateState.REVOKED)
    text = Client(tmp_path, world, old).ask(GOOD)
    assert "Response verify OK" in text
    assert f"{GOOD:#x}: good" in text
    text = Client(tmp_path, world, new).ask(REVOKED)
    assert "Response verify OK" in text
    assert f"{REVOKED:#x}: revoked" in text


def test_openssl_reads_our_refusal(tmp_path: Path) -> None:
    world = world_of_today()
    authority = world.add_ca()
    stranger = world.add_ca("stranger")
    request, response = tmp_path / "request.der", tmp_path / "response.der"
    client = Client(tmp_path, world, stranger)
    run([program("openssl"), "ocsp", "-issuer", client.ca, "-serial", "1", "-reqout", request])
    response.write_bytes(world.post(request.read_bytes(), authority.reference.ca_id).body)
    done = run([program("openssl"), "ocsp", "-respin", response, "-noverify"], expect=None)
    assert "unauthorized (6)" in done.stdout
