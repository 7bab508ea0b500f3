"""CMP p10cr over kept-alive HTTP beside ``enroll()`` and beside the mock server of ``openssl cmp``, P-256 (issue 4).

``twistd cspd`` runs on core 0, ``wrk`` asks from core 1 with messages made beforehand, each a transaction of its own
with implicitConfirm, protected by a secret (PasswordBasedMac, 500 iterations) or signed by a certificate of the CA;
``enroll()`` alone and openssl's server, which answers with a certificate of a file, run on core 0 in the same rounds.
Run from the top folder: ``python -m bench.cmp [--seconds 3] [--rounds 3]``. Goals: 60 % of ``enroll()``, level with
openssl.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bench.enroll import make_csr
from bench.enrolling import EnrollingDaemon, benchmark, enroll_alone, post, verdict
from bench.load import Loaded, pinned, write_requests, wrk
from cspd.clock import SystemClock
from cspd.x509 import tlv
from protocols.cmp.codec import assemble, decode
from protocols.cmp.general_names import directory_name
from protocols.cmp.info_types import implicit_confirm
from protocols.cmp.mac_algorithms import PasswordBasedMAC
from protocols.cmp.messages import BodyType, CertificationRequest, CertRepMessage, PKIBody, PKIHeader
from protocols.cmp.protection import protect_by_mac, protected_part_for
from tests.support.processes import free_port

MEDIA_TYPE = "application/pkixcmp"
PATH = "/.well-known/cmp/p/demo"
ECDSA_SHA256 = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))


def _header(**names: bytes) -> PKIHeader:
    return PKIHeader(
        message_time=SystemClock().now().replace(microsecond=0),
        transaction_id=secrets.token_bytes(16),
        sender_nonce=secrets.token_bytes(16),
        general_info=(implicit_confirm(),),
        **names,  # type: ignore[arg-type]  # all of them are octets
    )


def by_mac(reference: bytes, secret: bytes) -> Callable[[bytes], bytes]:
    """Makes messages for a CSR that this secret protects; its key is derived once."""
    key = PasswordBasedMAC(secrets.token_bytes(16), 500).derive(secret)

    def make(csr_der: bytes) -> bytes:
        body = PKIBody(BodyType.P10CR, CertificationRequest(csr_der))
        return protect_by_mac(_header(sender_kid=reference), body, key)

    return make


def by_signature(certificate_der: bytes, key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    """Makes messages for a CSR that this certificate signs."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    sender_der = directory_name(certificate.subject)

    def make(csr_der: bytes) -> bytes:
        body = PKIBody(BodyType.P10CR, CertificationRequest(csr_der))
        part = protected_part_for(_header(sender_der=sender_der, sender_kid=identifier), body, ECDSA_SHA256)
        return assemble(part, key.sign(part, ec.ECDSA(hashes.SHA256())), (certificate_der,))

    return make


def certificate_of(url: str, message_der: bytes) -> bytes:
    """The certificate that a server answers with; whatever else it says is an error."""
    with urllib.request.urlopen(urllib.request.Request(url, message_der, {"Content-Type": MEDIA_TYPE})) as answer:
        content = decode(answer.read()).body.content
    assert isinstance(content, CertRepMessage), content
    pair = content.response[0].certified_key_pair
    assert pair is not None, content
    return pair.certificate_der


@contextmanager
def mock_server(folder: Path, certificate_der: bytes) -> Iterator[tuple[int, int]]:
    """``openssl cmp -port`` on core 0, which answers everybody with this certificate: its port and its process."""
    (folder / "answer.pem").write_bytes(
        x509.load_der_x509_certificate(certificate_der).public_bytes(Encoding.PEM),
    )
    port = free_port()
    command = ["openssl", "cmp", "-port", str(port), "-srv_ref", "demo", "-srv_secret", "pass:secret"]
    options = ["-rsp_cert", str(folder / "answer.pem"), "-grant_implicitconf", "-verbosity", "1"]
    with (folder / "mock.log").open("wb") as log:
        process = subprocess.Popen([*pinned(0), *command, *options], stdout=log, stderr=log)
    try:
        time.sleep(1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure in turn and print."""
    benchmark(__doc__, _measure)


def _measure(daemon: EnrollingDaemon, folder: Path, options: argparse.Namespace) -> None:
    url = f"http://127.0.0.1:{daemon.port}{PATH}"
    mac = by_mac(daemon.facts["cmp_reference"].encode(), daemon.facts["secrets"]["cmp_secret"].encode())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate_der = certificate_of(url, mac(make_csr(key)))
    signature = by_signature(certificate_der, key)
    certificate_of(url, signature(make_csr()))
    for_mock = by_mac(b"demo", b"secret")

    def load(
        make: Callable[[bytes], bytes], port: int, pid: int, path: str, connections: int, *, may_close: bool = False
    ) -> Loaded:
        # Twice what can be answered: a transactionID is good for one.
        count = 2000 * options.seconds
        csrs = [make_csr() for _ in range(100)]
        requests = folder / "requests"
        write_requests(requests, [post(path, MEDIA_TYPE, make(csrs[at % 100])) for at in range(count)])
        return wrk(requests, port, pid, seconds=options.seconds, connections=connections, may_close=may_close)

    floors: list[tuple[float, float]] = []
    loads: dict[str, list[Loaded]] = {"p10cr by MAC": [], "p10cr by signature": [], "openssl's mock by MAC": []}
    for _ in range(options.rounds):
        floors.append(enroll_alone())
        for what, make in (("p10cr by MAC", mac), ("p10cr by signature", signature)):
            before = daemon.issued()
            loads[what].append(load(make, daemon.port, daemon.pid, PATH, options.connections))
            assert daemon.issued() - before > 0.95 * loads[what][-1].rate * options.seconds, "not all were issued"
        with mock_server(folder, certificate_der) as (port, pid):
            certificate_of(f"http://127.0.0.1:{port}/", for_mock(make_csr()))
            # It serves one connection at a time, and closes it where a transaction ends.
            loads["openssl's mock by MAC"].append(load(for_mock, port, pid, "/", 1, may_close=True))
    of_floor = [statistics.median(each) for each in zip(*floors, strict=True)]
    print(f"{'enroll()':24} {of_floor[0]:6.0f}/s {of_floor[1]:7.0f} us CPU")
    for what, each in loads.items():
        rates = [one.rate for one in each]
        cpu = statistics.median(one.cpu for one in each)
        if "mock" in what:
            print(f"{what:24} {statistics.median(rates):6.0f}/s {cpu:7.0f} us CPU")
            continue
        by_cpu = statistics.median(floor / one.cpu for one, (_, floor) in zip(each, floors, strict=True))
        shares = [rate / floor for rate, (floor, _) in zip(rates, floors, strict=True)]
        print(f"{verdict(what, rates, cpu, shares)}; {by_cpu:.1%} by CPU")
    pairs = list(zip(loads["p10cr by MAC"], loads["openssl's mock by MAC"], strict=True))
    by_rate = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    by_cpu = statistics.median(theirs.cpu / ours.cpu for ours, theirs in pairs)
    print(f"p10cr by MAC is {by_rate:.2f} times openssl's mock server by rate, {by_cpu:.2f} times by CPU; goal 1")


if __name__ == "__main__":
    main()
