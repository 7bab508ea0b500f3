"""Writes the corpus of time-stamp requests; see README.md."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pyhanko.sign.timestamps import TimeStamper
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from tests.protocols.tsp.bad_requests import BAD
from tests.support.processes import program, run

FOLDER = Path(__file__).parent
MAX_OCTETS = 3000  # the long ones are in the table of bad requests
DATA = b"what gets a timestamp"
DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "rmd160")


def main() -> None:
    """Write every file anew."""
    openssl = program("openssl")
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        data.write_bytes(DATA)
        for name, options in {
            **{digest: (f"-{digest}",) for digest in DIGESTS},
            "no-nonce": ("-sha256", "-no_nonce"),
            "cert": ("-sha256", "-cert"),
            "cert-no-nonce": ("-sha512", "-cert", "-no_nonce"),
            "policy": ("-sha256", "-tspolicy", "1.3.6.1.4.1.99999.1"),
            "policy-cert": ("-sha384", "-tspolicy", "2.999.1.4294967296", "-cert"),
        }.items():
            run([openssl, "ts", "-query", "-data", data, *options, "-out", FOLDER / f"openssl-{name}.tsq"])
    for client_hash in (HashAlgorithm.SHA256, HashAlgorithm.SHA512):
        request = TimestampRequestBuilder().data(DATA).hash_algorithm(client_hash).build().as_bytes()
        (FOLDER / f"rfc3161-client-{client_hash.name.lower()}.tsq").write_bytes(request)
    for include_nonce in (True, False):
        _, pyhanko_request = TimeStamper(include_nonce).request_cms(hashlib.sha256(DATA).digest(), "sha256")
        (FOLDER / f"pyhanko{'' if include_nonce else '-no-nonce'}.tsq").write_bytes(pyhanko_request.dump())
    for name, (bad, _) in BAD.items():
        if len(bad) < MAX_OCTETS:
            (FOLDER / f"bad-{name.lower().replace(' ', '-')}.tsq").write_bytes(bad)


if __name__ == "__main__":
    main()
