"""Timestamps a second of the real daemon on one core (issue 3), beside raw signing and the HTTP floor of that core.

``twistd cspd`` runs on core 0 with SQLite and units certified by its own CA; ``wrk`` asks from core 1 for tokens with
nonce and certificates. ``openssl speed`` and a trivial handler (``bench/http_floor.py``) run on core 0 in the same
rounds, so that a busy machine slows all of them. Run from the top folder:

    python -m bench.tsa [--seconds 2] [--rounds 4] [--connections 32] [--profile FILE]

Goals: RSA-2048 tokens 80 % of raw signing, P-256 tokens 40 % of the floor. Latencies are those at 80 % of the rate that
wrk found, sent by ``bench/paced.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.http_floor import running
from bench.load import Loaded, pinned, write_requests, wrk
from bench.paced import paced
from cspd.x509 import tlv
from protocols.tsp.codec import encode_request
from protocols.tsp.hash_algorithms import ALGORITHM_IDENTIFIERS
from protocols.tsp.messages import HashAlgorithm, MessageImprint, TimeStampReq

REQUESTS = 2000
FLOOR = "floor, POST"
GOALS = {"rsa": 0.80, "p256": 0.40}
RAW_NAMES = {"rsa": "rsa2048", "p256": "ecdsap256"}
KEY_TYPES = {"rsa": "rsa-2048", "p256": "ec-p256"}
EXTRAS = {"": "", "ordered": "ordering = true", "logged": ""}
LOAD = 0.8


@dataclass(frozen=True, slots=True)
class Case:
    """One issuer of a daemon."""

    key: str
    """``rsa`` or ``p256``."""
    extra: str
    """Of :data:`EXTRAS`."""
    log_requests: str = "failed"

    @property
    def issuer(self) -> str:
        return f"{self.key}-{self.extra}" if self.extra else self.key

    def __str__(self) -> str:
        every = ", every request logged" if self.log_requests == "all" else ""
        return f"{KEY_TYPES[self.key]}{', ' if self.extra else ''}{self.extra}{every}"


class Daemon:
    """The real daemon on core 0, with one issuer for each case."""

    def __init__(self, folder: Path, log_requests: str) -> None:
        self.port, https = _free_port(), _free_port()
        self.log_requests = log_requests
        environment = {**os.environ, "PYTHONPATH": "."}
        self._run(["init", "--demo", str(folder), "--http-port", str(self.port), "--https-port", str(https)])
        conf = folder / "cspd.toml"
        text = re.sub(
            r"\[\[protocols\.tsp\.issuers\]\].*?(?=\n\[(?!protocols\.tsp)|\Z)", "", conf.read_text(), flags=re.S
        )
        text = text.replace(
            "[protocols.tsp.clock]", f'[protocols.tsp]\nlog_requests = "{log_requests}"\n\n[protocols.tsp.clock]'
        )
        text = text.replace('format = "text"', 'format = "json"')  # the demonstration's is for terminals
        conf.write_text(text + "".join(_issuer(key, extra) for key in KEY_TYPES for extra in EXTRAS))
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "--nodaemon", "--pidfile=", "cspd", "--config", str(conf)]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([*pinned(0), *command], stdout=log, stderr=log, env=environment)
        self.pid = self._process.pid

    def _run(self, arguments: Sequence[str]) -> None:
        subprocess.run([sys.executable, "-m", "cspd.admin.cspctl", *arguments], check=True, capture_output=True)

    def octets_of_a_grant(self, case: Case, request: bytes) -> int:
        """The length of a granted answer's body; waits until the issuer grants."""
        url = f"http://127.0.0.1:{self.port}/tsa/{case.issuer}"
        question = urllib.request.Request(url, request, {"Content-Type": "application/timestamp-query"})
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(question) as answer:
                    body: bytes = answer.read()
                if len(body) > 500:  # a rejection is shorter than any token
                    return len(body)
            except OSError:
                body = b""  # it does not listen yet
            assert time.monotonic() < deadline, body
            time.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def _issuer(key: str, extra: str) -> str:
    case = Case(key, extra)
    return f"""
[[protocols.tsp.issuers]]
id = "{case.issuer}"
log_tokens = {str(extra == "logged").lower()}

[protocols.tsp.issuers.profile]
policy = "1.3.6.1.4.1.32473.1"
accuracy = "1s"
{EXTRAS[extra]}

[protocols.tsp.issuers.certification]
ca = "demo~issuing"
subject = "CN={case.issuer},O=bench"
key_type = "{KEY_TYPES[key]}"
"""


def _free_port() -> int:
    from tests.support.processes import free_port

    return free_port()


def raw_rates() -> Mapping[str, float]:
    """Signatures a second of processor time that ``openssl speed`` makes on core 0."""
    speed = ["openssl", "speed", "-seconds", "1", "-mr", *RAW_NAMES.values()]
    output = subprocess.run([*pinned(0), *speed], check=True, capture_output=True, text=True).stdout
    rsa = re.search(r"^\+F2:\d+:2048:([\d.e+-]+):", output, re.MULTILINE)
    p256 = re.search(r"^\+F4:\d+:256:([\d.e+-]+):", output, re.MULTILINE)
    assert rsa is not None, output
    assert p256 is not None, output
    return {"rsa": float(rsa[1]), "p256": float(p256[1])}


def tokens_requests(case: Case) -> tuple[list[bytes], list[bytes]]:
    """TimeStampReqs, and the HTTP requests around them."""
    algorithm_der = ALGORITHM_IDENTIFIERS[HashAlgorithm.SHA256]
    bodies = []
    for _ in range(REQUESTS):
        digest = secrets.token_bytes(32)
        encoded = tlv.sequence(algorithm_der, tlv.element(tlv.OCTET_STRING, digest))
        imprint = MessageImprint(algorithm_der, digest, encoded)
        bodies.append(encode_request(TimeStampReq(imprint, nonce=secrets.randbits(63), cert_req=True)))
    return bodies, [_post(f"/tsa/{case.issuer}", body) for body in bodies]


def _post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: tsa.example\r\nContent-Type: application/timestamp-query\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Measurement:
    """Rounds over all cases."""

    def __init__(self, options: argparse.Namespace, folder: Path, floor: tuple[str, int]) -> None:
        self._options = options
        self._folder = folder
        url, self._floor_pid = floor
        self._floor_port = int(url.rpartition(":")[2].partition("/")[0])
        self._floor_requests = folder / "floor"
        write_requests(self._floor_requests, [_post("/status", secrets.token_bytes(60)) for _ in range(REQUESTS)])

    def of(self, daemon: Daemon, cases: Sequence[Case]) -> None:
        """Measure and print."""
        files: dict[Case, Path] = {}
        sent: dict[Case, list[bytes]] = {}
        octets: dict[Case, int] = {}
        for case in cases:
            bodies, sent[case] = tokens_requests(case)
            octets[case] = daemon.octets_of_a_grant(case, bodies[0])
            files[case] = self._folder / f"{case.issuer}-{case.log_requests}"
            write_requests(files[case], sent[case])
            self._load(files[case], daemon.port, daemon.pid, 1)
        raw: dict[str, list[float]] = {key: [] for key in KEY_TYPES}
        floors: list[Loaded] = []
        loads: dict[Case, list[Loaded]] = {case: [] for case in cases}
        for round_ in range(self._options.rounds):
            for key, rate in raw_rates().items():
                raw[key].append(rate)
            floors.append(self._load(self._floor_requests, self._floor_port, self._floor_pid))
            for case in cases:
                with profiled(daemon.pid, self._options, case) if round_ == 0 else nullcontext():
                    loaded = self._load(files[case], daemon.port, daemon.pid)
                # Rejections are answered with 200, too, but are short.
                assert loaded.octets > octets[case], f"not every request for {case} was granted"
                loads[case].append(loaded)
        for key, rates in raw.items():
            print(f"{'raw ' + KEY_TYPES[key]:46} {statistics.median(rates):8.0f} {1e6 / statistics.median(rates):8.1f}")
        print(f"{FLOOR:46} {median(floors).rate:8.0f} {median(floors).cpu:8.1f}")
        for case in cases:
            self._print(case, loads[case], raw[case.key], floors)
        for case in cases:
            rate = LOAD * median(loads[case]).rate
            latency = paced(daemon.port, sent[case], rate=rate, seconds=2 * self._options.seconds)
            print(
                f"{case!s:46} at {LOAD:.0%} load, {latency.rate:.0f} tokens/s:"
                f" p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms"
            )

    def _load(self, requests: Path, port: int, pid: int, seconds: float | None = None) -> Loaded:
        options = self._options
        return wrk(requests, port, pid, seconds=seconds or options.seconds, connections=options.connections)

    def _print(self, case: Case, loads: Sequence[Loaded], raw: Sequence[float], floors: Sequence[Loaded]) -> None:
        # The share within each round: whatever else the machine does then slows both.
        if case.key == "rsa":
            what = "raw signing"
            shares = [(load.rate / rate, 1e6 / load.cpu / rate) for load, rate in zip(loads, raw, strict=True)]
        else:
            what = "the floor"
            shares = [(load.rate / floor.rate, floor.cpu / load.cpu) for load, floor in zip(loads, floors, strict=True)]
        share, by_cpu = (statistics.median(values) for values in zip(*shares, strict=True))
        goal = GOALS[case.key]
        # Both have to meet it: a disturbed floor flatters the rate.
        verdict = "met" if min(share, by_cpu) >= goal else "MISSED"
        figures = f"{median(loads).rate:8.0f} {median(loads).cpu:8.1f} {share:7.1%} {by_cpu:7.1%}"
        print(f"{case!s:46} {figures} of {what}; goal {goal:.0%} {verdict}")


def median(loads: Sequence[Loaded]) -> Loaded:
    """The median of each figure."""
    return Loaded(*(statistics.median(getattr(load, name) for load in loads) for name in ("rate", "cpu", "octets")))


@contextmanager
def profiled(pid: int, options: argparse.Namespace, case: Case) -> Iterator[None]:
    """Record the daemon with py-spy meanwhile, if asked to."""
    if options.profile is None:
        yield
        return
    output = options.profile.with_name(f"{options.profile.name}-{case.issuer}-{case.log_requests}")
    arguments = ["--pid", str(pid), "--duration", str(options.seconds), "--output", str(output), "--format", "raw"]
    py_spy = str(Path(sys.executable).with_name("py-spy"))
    with subprocess.Popen([py_spy, "record", *arguments], stdout=subprocess.DEVNULL):
        yield


def main() -> None:
    """Measure a daemon that logs failed requests, then one that logs all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--profile", type=Path, help="record the daemon with py-spy in the first round")
    parser.add_argument("--only", help="cases whose name has this", default="")
    options = parser.parse_args()
    print(f"{'case':46} {'a second':>8} {'us CPU':>8} {'share':>7} {'by CPU':>7}")
    with tempfile.TemporaryDirectory() as name, running("cspd") as floor:
        folder = Path(name)
        measurement = Measurement(options, folder, floor)
        for log_requests, extras in (("failed", tuple(EXTRAS)), ("all", ("",))):
            cases = [Case(key, extra, log_requests) for key in KEY_TYPES for extra in extras]
            cases = [case for case in cases if options.only in str(case)]
            if not cases:
                continue
            daemon = Daemon(folder / log_requests, log_requests)
            try:
                measurement.of(daemon, cases)
            finally:
                daemon.stop()


if __name__ == "__main__":
    main()
