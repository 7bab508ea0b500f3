"""Tokens of the encoder alone, without a daemon, verified by openssl against data and against query."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cspd.keys.values import KeyType
from protocols.tsp.codec import decode_request, encode_granted
from protocols.tsp.evidence import Expectation
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.messages import Accuracy, HashAlgorithm
from protocols.tsp.token import TokenProfile
from protocols.tsp.verification import verify
from tests.protocols.tsp.tokens import DATA, POLICY, Unit, unit
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

OF_THE_GUIDE = (
    KeyType.RSA_2048,
    KeyType.RSA_3072,
    KeyType.RSA_4096,
    KeyType.EC_P256,
    KeyType.EC_P384,
    KeyType.EC_P521,
)
# openssl 3.0 verifies tokens through its old PKCS #7 code, which signs and verifies digests only: EdDSA (RFC 8419) is
# an error there, and ML-DSA came to openssl with 3.5.
NOT_IN_OPENSSL_3_0 = tuple(key_type for key_type in KeyType if key_type not in OF_THE_GUIDE)
EVERYTHING = TokenProfile(policy=POLICY, accuracy=Accuracy(1, 2, 3), ordering=True, tsa_name=True, qualified=True)


class Client:
    """``openssl ts``, with a folder for its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.query, self.reply, self.anchor = (
            folder / each for each in ("data", "query.tsq", "reply.tsr", "root.pem")
        )
        self.data.write_bytes(DATA)
        self._openssl = program("openssl")

    def ask(self, *options: str) -> bytes:
        """The octets of a query for the data."""
        run([self._openssl, "ts", "-query", "-data", self.data, *options, "-out", self.query])
        return self.query.read_bytes()

    def receive(self, reply: bytes, signed_by: Unit) -> None:
        """Take the reply, and the trust anchor of the unit."""
        self.reply.write_bytes(reply)
        self.anchor.write_bytes(signed_by.chain[-1].public_bytes(Encoding.PEM))

    def verify(self, *against: str | Path, expect: int = 0) -> str:
        """``openssl ts -verify``; ``against`` is ``-data`` or ``-queryfile`` with its file."""
        command = [self._openssl, "ts", "-verify", "-in", self.reply, "-CAfile", self.anchor, *against]
        return run(command, expect=expect).stdout


def answer(query: bytes, made: Unit, profile: TokenProfile, digest: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """What an issuer with this unit answers."""
    request = decode_request(query)
    return encode_granted(
        made.token(
            profile, request.message_imprint, nonce=request.nonce, cert_req=request.cert_req, signature_digest=digest
        )
    )


@pytest.mark.requirement("R-TSA-020", "R-TSA-035")
@pytest.mark.parametrize("key_type", OF_THE_GUIDE)
def test_openssl_verifies_tokens_of_every_key_type_that_it_knows(key_type: KeyType, tmp_path: Path) -> None:
    client, made = Client(tmp_path), unit(key_type)
    client.receive(answer(client.ask("-sha256", "-cert"), made, EVERYTHING), made)
    assert "Verification: OK" in client.verify("-data", client.data)
    assert "Verification: OK" in client.verify("-queryfile", client.query)


@pytest.mark.requirement("R-TSA-020")
@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_openssl_verifies_every_imprint(algorithm: HashAlgorithm, tmp_path: Path) -> None:
    client, made = Client(tmp_path), unit()
    client.receive(answer(client.ask(f"-{algorithm.value}", "-cert"), made, EVERYTHING), made)
    assert "Verification: OK" in client.verify("-data", client.data)
    assert "Verification: OK" in client.verify("-queryfile", client.query)


@pytest.mark.requirement("R-TSA-031")
@pytest.mark.parametrize("digest", [HashAlgorithm.SHA224, HashAlgorithm.SHA384, HashAlgorithm.SHA512])
@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256])
def test_openssl_verifies_every_digest_of_the_signature(
    key_type: KeyType, digest: HashAlgorithm, tmp_path: Path
) -> None:
    client, made = Client(tmp_path), unit(key_type)
    client.receive(answer(client.ask("-sha512", "-cert"), made, EVERYTHING, digest), made)
    assert "Verification: OK" in client.verify("-queryfile", client.query)


def test_openssl_finds_the_certificates_elsewhere_when_they_were_not_asked_for(tmp_path: Path) -> None:
    client, made = Client(tmp_path), unit()
    client.receive(answer(client.ask("-sha256"), made, EVERYTHING), made)
    assert "Verification: FAILED" in client.verify("-queryfile", client.query, expect=1)
    others = tmp_path / "untrusted.pem"
    others.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (made.certificate, *made.chain)))
    assert "Verification: OK" in client.verify("-queryfile", client.query, "-untrusted", others)


def test_openssl_notices_another_nonce(tmp_path: Path) -> None:
    client, made = Client(tmp_path), unit()
    first = answer(client.ask("-sha256", "-cert"), made, EVERYTHING)
    client.ask("-sha256", "-cert")
    client.receive(first, made)
    assert "Verification: FAILED" in client.verify("-queryfile", client.query, expect=1)


@pytest.mark.parametrize("key_type", NOT_IN_OPENSSL_3_0)
def test_openssl_reads_tokens_of_the_newer_key_types(key_type: KeyType, tmp_path: Path) -> None:
    """It prints them; whether it verifies them is its version's matter."""
    client, made = Client(tmp_path), unit(key_type)
    client.receive(answer(client.ask("-sha256", "-cert"), made, EVERYTHING), made)
    printed = run([program("openssl"), "ts", "-reply", "-in", client.reply, "-text"]).stdout
    assert "Status: Granted." in printed
    assert f"Policy OID: {POLICY}" in printed


TSA_CONFIGURATION = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/unit.pem
certs = {folder}/chain.pem
signer_key = {folder}/unit.key
signer_digest = {digest}
default_policy = {policy}
digests = sha1, sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = {chain}
ess_cert_id_alg = {ess_digest}
"""


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256])
@pytest.mark.parametrize("ess_digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("chain", ["no", "yes"])
def test_we_verify_tokens_of_openssl(key_type: KeyType, ess_digest: str, chain: str, tmp_path: Path) -> None:
    """Which writes signingCertificate with SHA-1, and signingCertificateV2 else; also of the whole chain."""
    client, made = Client(tmp_path), unit(key_type)
    query = client.ask("-sha384", "-cert")
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "unit.pem").write_bytes(made.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "chain.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in made.chain))
    (tmp_path / "unit.key").write_bytes(
        made.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    configuration = tmp_path / "tsa.cnf"
    configuration.write_text(
        TSA_CONFIGURATION.format(folder=tmp_path, policy=POLICY, digest="sha256", ess_digest=ess_digest, chain=chain)
    )
    run(
        [
            *(program("openssl"), "ts", "-reply", "-config", configuration, "-section", "tsa"),
            *("-queryfile", client.query, "-out", client.reply),
        ]
    )
    report = verify(
        client.reply.read_bytes(),
        trust_anchors=[made.chain[-1]],
        expectation=Expectation(
            digest_of=lambda algorithm: digest_function(algorithm)(DATA), request=decode_request(query), policy=POLICY
        ),
    )
    assert report.findings == ()
    assert report.tst_info is not None
    assert report.tst_info.accuracy == Accuracy(1, 500, 100)
    assert report.tst_info.ordering
