"""EST simpleenroll over kept-alive TLS connections beside ``enroll()``, P-256 (issue 4).

``twistd cspd`` runs on core 0, ``wrk`` asks from core 1 with requests made beforehand and HTTP Basic; ``enroll()``
alone runs on core 0 in the same rounds, with requests and profile alike. Run from the top folder:
``python -m bench.est [--seconds 3] [--rounds 3]``. Goal: 60 %.
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from bench.enroll import make_csr
from bench.enrolling import EnrollingDaemon, benchmark, enroll_rate, post, verdict
from bench.load import Loaded, write_requests, wrk

REQUESTS = 200


def main() -> None:
    """Measure in turn and print."""
    benchmark(__doc__, _measure)


def _measure(daemon: EnrollingDaemon, folder: Path, options: argparse.Namespace) -> None:
    credentials = f"{daemon.facts['est_user']}:{daemon.facts['secrets']['est_password']}"
    basic = "Authorization: Basic " + base64.b64encode(credentials.encode()).decode()
    bodies = [base64.b64encode(make_csr()) for _ in range(REQUESTS)]
    requests = folder / "requests"
    path = "/.well-known/est/demo/simpleenroll"
    write_requests(requests, [post(path, "application/pkcs10", body, basic) for body in bodies])

    def load(seconds: int) -> Loaded:
        port, pid, connections = daemon.https_port, daemon.pid, options.connections
        return wrk(requests, port, pid, seconds=seconds, connections=connections, scheme="https")

    load(1)
    loads, floors = [], []
    for _ in range(options.rounds):
        floors.append(enroll_rate())
        before = daemon.issued()
        loads.append(load(options.seconds))
        assert daemon.issued() - before > 0.95 * loads[-1].rate * options.seconds, "not all were issued"
    print(f"{'enroll()':24} {sorted(floors)[len(floors) // 2]:6.0f}/s")
    shares = [each.rate / floor for each, floor in zip(loads, floors, strict=True)]
    cpu = sum(each.cpu for each in loads) / len(loads)
    print(verdict("simpleenroll, Basic", [each.rate for each in loads], cpu, shares))


if __name__ == "__main__":
    main()
