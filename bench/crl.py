"""A CRL of 100,000 entries: ours against cryptography's builder, from rows to signed DER, in one run.

    python -m bench.crl [entries]

Ratios are what counts; the seconds are of this machine and this minute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, create_engine, insert, select

from cspd.authority.crl import Scope, read_full
from cspd.authority.crl_encoding import encode_certificate_list, encode_tbs_cert_list
from cspd.authority.crl_signing import sign, signature_algorithm
from cspd.store.tables import authorities, authority_certificates, certificates, metadata, organizations

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
REASONS = ("keyCompromise", "superseded", "cessationOfOperation", "unspecified")
Work = Callable[[Connection, ec.EllipticCurvePrivateKey], tuple[bytes, dict[str, float]]]
AUTHORITY, CERTIFICATE = "a" * 32, "c" * 32


def fill(connection: Connection, entries: int) -> None:
    """One CA, whose certificates are half revoked."""
    random = Random(1)
    connection.execute(insert(organizations).values(name="bench", administrators=[], created_at=NOW))
    connection.execute(
        insert(authorities).values(
            id=AUTHORITY,
            organization="bench",
            ca_id="issuing",
            kind="issuing",
            state="active",
            subject_der=NAME.public_bytes(),
            certificate_id=CERTIFICATE,
            ocsp_enabled=True,
            profiles=[],
            administrators=[],
            auditors=[],
            record_before_signing=False,
            created_at=NOW,
            revision=1,
        )
    )
    connection.execute(
        insert(authority_certificates).values(
            id=CERTIFICATE,
            authority_id=AUTHORITY,
            certificate_der=b"",
            chain_der=[],
            key_index=0,
            subject_key_identifier=b"",
            not_before=NOW,
            not_after=NOW,
            created_at=NOW,
        )
    )
    rows = []
    for number in range(2 * entries):
        is_revoked = number % 2 == 0
        rows.append(
            {
                "authority_id": AUTHORITY,
                "serial": random.getrandbits(159),
                "certificate_der": b"x" * 700,
                "issuer_certificate_id": CERTIFICATE,
                "profile": "tls-server",
                "subject": f"CN=host{number}.example",
                "names": f"host{number}.example",
                "public_key_sha256": sha256(b"%d" % number).hexdigest(),
                "not_before": NOW,
                "not_after": NOW + timedelta(days=90),
                "issued_at": NOW,
                "protocol": "acme",
                "requester": "bench",
                "state": "revoked" if is_revoked else "good",
                "revoked_at": NOW + timedelta(seconds=number) if is_revoked else None,
                "revocation_reason": REASONS[number // 2 % 4] if is_revoked else None,
            }
        )
    connection.execute(insert(certificates), rows)


def ours(connection: Connection, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, dict[str, float]]:
    """The CRL as the server makes it, and the seconds of its steps."""
    begun = perf_counter()
    scope = Scope(AUTHORITY, 0)
    content = read_full(connection, scope, this_update=NOW, interval=timedelta(days=1))
    read = perf_counter()
    algorithm_der = signature_algorithm(key.public_key())
    tbs = encode_tbs_cert_list(
        algorithm_der=algorithm_der,
        issuer=NAME,
        this_update=NOW,
        next_update=NOW + timedelta(days=1),
        entries=content.entries,
        extensions=[],
    )
    encoded = perf_counter()
    signature = sign(key, tbs)
    signed = perf_counter()
    crl_der = encode_certificate_list(tbs=tbs, algorithm_der=algorithm_der, signature=signature)
    steps = {"read and encode entries": read - begun, "assemble": encoded - read, "sign": signed - encoded}
    return crl_der, {**steps, "all": perf_counter() - begun}


def peer(connection: Connection, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, dict[str, float]]:
    """The same by SQLAlchemy rows and cryptography's builders."""
    begun = perf_counter()
    query = (
        select(certificates.c.serial, certificates.c.revoked_at, certificates.c.revocation_reason)
        .where(certificates.c.authority_id == AUTHORITY, certificates.c.state == "revoked")
        .order_by(certificates.c.serial)
    )
    revoked = []
    for row in connection.execute(query):
        entry = x509.RevokedCertificateBuilder().serial_number(row.serial).revocation_date(row.revoked_at)
        if row.revocation_reason != "unspecified":
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(row.revocation_reason)), critical=False)
        revoked.append(entry.build())
    built = perf_counter()
    builder = x509.CertificateRevocationListBuilder(NAME, NOW, NOW + timedelta(days=1), [], revoked)
    crl_der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return crl_der, {
        "read and build entries": built - begun,
        "assemble and sign": perf_counter() - built,
        "all": perf_counter() - begun,
    }


def best(work: Work, connection: Connection, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, dict[str, float]]:
    """The fastest of three runs: the others met a cold cache or a busy machine."""
    return min((work(connection, key) for _ in range(3)), key=lambda result: result[1]["all"])


def main(entries: int) -> None:
    """Measure and print."""
    key = ec.generate_private_key(ec.SECP256R1())
    with TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/store.sqlite")
        metadata.create_all(engine)
        with engine.begin() as connection:
            fill(connection, entries)
        with engine.connect() as connection:
            results = {"ours": best(ours, connection, key), "cryptography": best(peer, connection, key)}
    for name, (crl_der, steps) in results.items():
        crl = x509.load_der_x509_crl(crl_der)
        assert len(crl) == entries
        assert crl.is_signature_valid(key.public_key())
        print(f"{name}: {len(crl_der):,} octets, " + ", ".join(f"{step} {took:.3f} s" for step, took in steps.items()))
    print(f"ours takes {results['ours'][1]['all'] / results['cryptography'][1]['all']:.2f} of the peer's time")
    print(f"the reactor thread at most {results['ours'][1]['sign']:.4f} s of it (signing with a software P-256 key)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
