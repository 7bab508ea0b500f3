"""Memory while 100,000 certificates are issued, listed, asked about by OCSP and partly revoked (issue 2, bench d).

    python -m bench.memory [--certificates 100000] [--minutes 4] [--page-cache 2048]

One process with the services of the daemon on SQLite. After every tenth of the certificates it pages through all that
there are, asks OCSP about some with and without nonce, revokes 500, makes a CRL, and prints its resident memory. The
first two tenths are warm-up. After it, memory must stay. SQLite's page cache is small here (KiB for each of the three
connections), because a cache that fills as the store grows, up to its limit of 32 MiB each, would hide a leak.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.internet import reactor, task  # noqa: TID251  # a program
from twisted.internet.defer import Deferred, gatherResults

from bench.authorities import CA, make_ca
from cspd.audit.chain import HashChain
from cspd.authority.certificates import Certificates
from cspd.authority.crl_issuing import CRLIssuer
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.profiles import load_profiles
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.responder_issuance import ResponderIssuance
from cspd.authority.responders import PROFILE, Responders, ca_certificates
from cspd.authority.revocation import RevocationService
from cspd.authority.status import StatusService
from cspd.authority.urls import StatusURLs
from cspd.authority.values import AuthorityKind, EnrollmentRequest, Requester, RevocationReason, RevocationRequest
from cspd.clock import SystemClock
from cspd.keys.config import KeysConfig
from cspd.keys.opening import open_keys
from cspd.keys.pkcs11.modules import Modules
from cspd.refusals import AlreadyRevoked
from cspd.store import sqlite
from cspd.store.database import open_database
from cspd.store.schema import upgrade
from protocols.ocsp.codec import HASH_ALGORITHMS, encode_request, nonce_extension
from protocols.ocsp.config import OCSPConfig
from protocols.ocsp.issuers import Issuer
from protocols.ocsp.messages import CertID, OCSPRequest, SingleRequest
from protocols.ocsp.service import OCSPService

CALLERS = 64
ROUNDS = 10
WARM_UP = 2
ASKED = 500
REVOKED = 500
GOAL = 1.10
"""Memory at the end, as a multiple of that after the warm-up."""
REQUESTER = Requester(protocol="bench", identity="bench")


@dataclass
class Services:
    """What the daemon would have built."""

    pipeline: IssuancePipeline
    certificates: Certificates
    revocation: RevocationService
    crl_issuer: CRLIssuer
    ocsp: OCSPService
    authorities: AuthorityRegistry
    csr_der: bytes
    stop: Any


async def start(folder: Path) -> Services:
    """Build the services over a new store with one CA."""
    url, clock = f"sqlite:///{folder}/store.sqlite", SystemClock()
    upgrade(url)
    database = open_database(url, reactor=reactor)
    database.start()
    keys = open_keys(
        KeysConfig.model_validate({"software": {"master_key": {"env": "BENCH"}}}),
        database=database,
        clock=clock,
        secret=lambda _: secrets.token_bytes(32),
        modules=Modules(),
        call_from_thread=reactor.callFromThread,  # type: ignore[attr-defined]
    )
    await keys.start()
    await make_ca(database, keys, clock, kind=AuthorityKind.ISSUING, profiles=frozenset({"tls-server"}))
    registry = AuthorityRegistry(database, reactor)
    await registry.refresh()
    registry.start()
    status = StatusService(clock=clock, database=database, reactor=reactor)
    status.start()
    profiles = load_profiles([Path(__file__).parents[1] / "conf" / "profiles"])
    audit, urls = HashChain(database, clock, "bench"), StatusURLs("http://pki.example")
    issuance = ResponderIssuance(
        clock=clock,
        random_bytes=secrets.token_bytes,
        database=database,
        keys=keys,
        profile=profiles[PROFILE],
        urls=urls,
        audit=audit,
    )

    async def stop() -> None:
        status.stop()
        registry.stop()
        await keys.stop()
        await database.stop()

    return Services(
        pipeline=IssuancePipeline(
            clock=clock,
            random=SystemRandom(),
            database=database,
            keys=keys,
            authorities=registry,
            profiles=profiles,
            audit=audit,
            urls=urls,
        ),
        certificates=Certificates(database),
        revocation=RevocationService(
            clock=clock, database=database, authorities=registry, audit=audit, after_change=status.note
        ),
        crl_issuer=CRLIssuer(clock=clock, database=database, keys=keys, audit=audit, urls=urls),
        ocsp=OCSPService(
            clock=clock,
            authorities=registry,
            status=status,
            responders=Responders(clock=clock, database=database, keys=keys, authorities=registry, issuance=issuance),
            keys=keys,
            config=OCSPConfig(next_update=timedelta(hours=8)),
        ),
        authorities=registry,
        csr_der=make_csr(),
        stop=stop,
    )


def make_csr() -> bytes:
    """The request that everybody sends."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.org")])
    names = x509.SubjectAlternativeName([x509.DNSName("www.example.org")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


async def issue(services: Services, count: int, deadline: float) -> int:
    """Enroll, 64 at a time; gives how many were issued before the deadline."""
    request = EnrollmentRequest(ca=CA, profile="tls-server", requester=REQUESTER, csr_der=services.csr_der)
    begun = 0

    async def caller() -> None:
        nonlocal begun
        while begun < count and time.monotonic() < deadline:
            begun += 1
            await services.pipeline.enroll(request)

    await gatherResults([Deferred.fromCoroutine(caller()) for _ in range(CALLERS)])
    return begun


async def list_all(services: Services, sample: Random) -> tuple[int, list[int]]:
    """Page through all certificates; gives how many there are, and some serial numbers."""
    count, position, serials = 0, None, list[int]()
    while True:
        page = await services.certificates.list(after=position, limit=1000)
        count += len(page.records)
        serials += [record.serial for record in sample.sample(page.records, min(20, len(page.records)))]
        position = page.next
        if position is None:
            return count, sample.sample(serials, min(ASKED, len(serials)))


async def ask(services: Services, serials: list[int]) -> None:
    """Ask OCSP about each, with a nonce and without."""
    authority = await services.authorities.get(CA)
    issuer = Issuer.of(ca_certificates(authority)[0])
    algorithm_der = min(HASH_ALGORITHMS)
    algorithm = HASH_ALGORITHMS[algorithm_der].value
    hashed = [hashlib.new(algorithm, part).digest() for part in (issuer.name_der, issuer.public_key)]
    for serial in serials:
        single = (SingleRequest(CertID(algorithm_der, *hashed, serial)),)
        for extensions in ((), (nonce_extension(secrets.token_bytes(32)),)):
            await services.ocsp.answer(CA, encode_request(OCSPRequest(single, extensions)))


async def revoke(services: Services, serials: list[int]) -> None:
    """Revoke those that are not revoked yet, then publish a CRL."""
    for serial in serials:
        with suppress(AlreadyRevoked):  # drawn a second time
            await services.revocation.revoke(
                RevocationRequest(ca=CA, serial=serial, reason=RevocationReason.SUPERSEDED, requester=REQUESTER)
            )
    await services.crl_issuer.issue(await services.authorities.get(CA), 0, is_delta=False)


def resident_mebibytes() -> float:
    """What this process has in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("needs /proc")


async def measure(folder: Path, certificates: int, minutes: float) -> None:
    """Print the series and the ratio."""
    services = await start(folder)
    deadline = time.monotonic() + 60 * minutes
    sample, series, asked, issued = Random(1), list[float](), list[int](), 0
    print(f"{'certificates':>12} {'listed':>8} {'MiB':>7}")
    for _ in range(ROUNDS):
        issued += await issue(services, certificates // ROUNDS, deadline)
        listed, serials = await list_all(services, sample)
        asked = asked or serials  # the same each time: answers and statuses that are kept have their own limits
        await ask(services, asked)
        await revoke(services, serials[:REVOKED])
        series.append(resident_mebibytes())
        print(f"{issued:12,} {listed:8,} {series[-1]:7.1f}", flush=True)
        if time.monotonic() >= deadline:
            print(f"ended by the limit of {minutes:g} minutes")
            break
    await services.stop()
    ratio = series[-1] / series[min(WARM_UP, len(series)) - 1]
    verdict = "met" if ratio <= GOAL else "MISSED"
    print(f"at the end {ratio:.2f} times the memory after the warm-up; goal: flat, at most {GOAL:.2f}: {verdict}")


def main() -> None:
    """Run in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificates", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--page-cache", type=int, default=2048)
    options = parser.parse_args()
    sqlite.PAGE_CACHE_KIB = options.page_cache
    with tempfile.TemporaryDirectory() as folder:
        task.react(lambda _: Deferred.fromCoroutine(measure(Path(folder), options.certificates, options.minutes)))


if __name__ == "__main__":
    main()
