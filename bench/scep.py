"""SCEP PKCSReq over kept-alive HTTP beside ``enroll()`` and beside its RSA operations (issue 5).

``twistd cspd`` runs on core 0 with a registration authority of RSA-2048. ``wrk`` POSTs from core 1 PKCSReqs of devices
with keys of RSA-2048, made beforehand, each a transaction of its own with the static challenge. In the same rounds, on
core 0: ``enroll()`` alone, and what no server of SCEP can do without: to decrypt the key of the envelope and to sign
the answer with the key of the registration authority. Run from the top folder:
``python -m bench.scep [--seconds 3] [--rounds 3]``.

Goal: 70 % of the rate that these operations and ``enroll()`` one after the other allow, which is what one core can do.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.enrolling import EnrollingDaemon, benchmark, enroll_alone, post, verdict
from bench.load import Loaded, pinned, write_requests, wrk
from cspd.x509 import tlv
from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.codec import MESSAGE_TYPE, SENDER_NONCE, TRANSACTION_ID, decode
from protocols.scep.messages import PKIStatus
from tests.support.cms_dialects import PRINTABLE_STRING, Dialect, text
from tests.support.scep_client import certificate_of, csr_of

GOAL = 0.70
DEVICES = 8
MEDIA_TYPE = "application/x-pki-message"
PROFILE = "scep-digital-signature-key-encipherment"
PATH = f"/scep/demo/demo~issuing/{PROFILE}/"


class Device:
    """Makes PKCSReqs with one key."""

    def __init__(self, number: int, ra_certificate: x509.Certificate, challenge: str) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._certificate = certificate_of(self._key, f"device {number}")
        self._csr_der = csr_of(self._key, f"device {number}", challenge)
        self._ra_certificate = ra_certificate

    def message(self) -> bytes:
        """Another transaction."""
        dialect = Dialect()
        attributes = {
            MESSAGE_TYPE: text(PRINTABLE_STRING, "19"),
            TRANSACTION_ID: text(PRINTABLE_STRING, secrets.token_hex(32)),
            SENDER_NONCE: tlv.element(tlv.OCTET_STRING, secrets.token_bytes(16)),
        }
        envelope = dialect.enveloped(self._csr_der, self._ra_certificate)
        return dialect.signed(envelope, attributes, self._key, self._certificate)


def key_operations() -> tuple[float, float]:
    """How often a second one core decrypts and signs with RSA-2048, and microseconds of processor time for each."""
    key = rsa.generate_private_key(65537, 2048)
    encrypted_key = key.public_key().encrypt(bytes(16), padding.PKCS1v15())
    begun, used, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < begun + 2:
        key.decrypt(encrypted_key, padding.PKCS1v15())
        key.sign(bytes(300), padding.PKCS1v15(), hashes.SHA256())
        count += 1
    return count / (time.perf_counter() - begun), (time.process_time() - used) / count * 1e6


def key_operations_on_core_0() -> tuple[float, float]:
    """The same, where the daemon runs."""
    command = [*pinned(0), sys.executable, "-c", "from bench.scep import key_operations; print(*key_operations())"]
    rate, cpu = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(rate), float(cpu)


def main() -> None:
    """Measure in turn and print."""
    benchmark(__doc__, _measure)


def _measure(daemon: EnrollingDaemon, folder: Path, options: argparse.Namespace) -> None:
    url = f"http://127.0.0.1:{daemon.port}{PATH}"
    with urllib.request.urlopen(f"{url}?operation=GetCACert") as answer:
        ra_certificate_der, *_ = decode_ca_certificates(answer.headers["Content-Type"], answer.read())
    ra_certificate = x509.load_der_x509_certificate(ra_certificate_der)
    challenge = daemon.facts["secrets"]["scep_challenge"]
    devices = [Device(number, ra_certificate, challenge) for number in range(DEVICES)]
    with urllib.request.urlopen(f"{url}?operation=PKIOperation", devices[0].message()) as answer:
        assert decode(answer.read()).message.pki_status is PKIStatus.SUCCESS

    def load() -> Loaded:
        # Twice what can be answered: a transactionID is good for one.
        messages = [devices[at % DEVICES].message() for at in range(1500 * options.seconds)]
        requests = folder / "requests"
        write_requests(requests, [post(f"{PATH}?operation=PKIOperation", MEDIA_TYPE, each) for each in messages])
        return wrk(requests, daemon.port, daemon.pid, seconds=options.seconds, connections=options.connections)

    enrolls: list[tuple[float, float]] = []
    operations: list[tuple[float, float]] = []
    loads: list[Loaded] = []
    for _ in range(options.rounds):
        enrolls.append(enroll_alone())
        operations.append(key_operations_on_core_0())
        before = daemon.issued()
        loads.append(load())
        assert daemon.issued() - before > 0.95 * loads[-1].rate * options.seconds, "not all were issued"
    for name, each in (("enroll()", enrolls), ("RSA decryption, signature", operations)):
        rate, cpu = (statistics.median(values) for values in zip(*each, strict=True))
        print(f"{name:26} {rate:6.0f}/s {cpu:7.0f} us CPU")
    both = [1 / (1 / one + 1 / other) for (one, _), (other, _) in zip(enrolls, operations, strict=True)]
    shares = [load.rate / floor for load, floor in zip(loads, both, strict=True)]
    cpu = statistics.median(each.cpu for each in loads)
    print(verdict("PKCSReq", [each.rate for each in loads], cpu, shares, of="both, one after the other", goal=GOAL))
    by_cpu = statistics.median(
        (one + other) / load.cpu for (_, one), (_, other), load in zip(enrolls, operations, loads, strict=True)
    )
    alone = statistics.median(load.rate / one for (one, _), load in zip(enrolls, loads, strict=True))
    of_rsa = statistics.median(load.rate / one for (one, _), load in zip(operations, loads, strict=True))
    print(f"by CPU {by_cpu:.1%} of both; {alone:.1%} of the rate of enroll() alone, {of_rsa:.1%} of that of RSA alone")


if __name__ == "__main__":
    main()
