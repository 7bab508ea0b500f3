"""Writes the corpus of OCSP requests; see README.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.protocols.ocsp.test_bad_requests import BAD
from tests.protocols.ocsp.world import World, request_for
from tests.support.processes import program, run

FOLDER = Path(__file__).parent
MAX_OCTETS = 3000  # the long ones are in the table of bad requests


def main() -> None:
    """Write every file anew."""
    authority = World().add_ca()
    assert authority.certificate is not None
    with tempfile.TemporaryDirectory() as temporary:
        ca, key, client = (Path(temporary) / name for name in ("ca.pem", "client.key", "client.pem"))
        ca.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        openssl = program("openssl")
        run(
            [
                *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-subj", "/CN=client", "-keyout", key, "-out", client, "-days", "1"),
            ]
        )
        for name, options in {
            "nonce": ("-serial", "0x1001"),
            "no-nonce": ("-serial", "0x1001", "-no_nonce"),
            "sha256-three": ("-sha256", "-serial", "1", "-serial", "2", "-serial", hex(2**158)),
            "signed": ("-serial", "7", "-signer", client, "-signkey", key),
        }.items():
            run([openssl, "ocsp", "-issuer", ca, *options, "-reqout", FOLDER / f"openssl-{name}.req"])
    for name, request in {
        "sha512-nonce128": request_for(authority, 2**150, algorithm=hashes.SHA512(), nonce=bytes(range(128))),
        "sha1": request_for(authority, 5),
    }.items():
        (FOLDER / f"cryptography-{name}.req").write_bytes(request)
    for name, request in BAD.items():
        if len(request) < MAX_OCTETS:
            (FOLDER / f"bad-{name.lower().replace(' ', '-')}.req").write_bytes(request)


if __name__ == "__main__":
    main()
