"""OCSP answers a second, as a share of what the HTTP server can do at all (issue 2, bench b).

One process serves a trivial handler and OCSP, on the real HTTP server, store (SQLite), registry, status memory and key
service; ``wrk`` asks for one after the other, in rounds, so that a busy machine slows both. Run from the top folder:

    python -m bench.ocsp [--seconds 3] [--rounds 5] [--profile FILE.svg]

Goals: kept answers 60 % of the floor, answers signed live with nonce by a P-256 responder 40 %.
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from random import SystemRandom
from typing import Any
from urllib.parse import quote

from bench.load import Loaded, pinned, write_requests, wrk

SERIALS = 1000
NONCES = 4000
POST_FLOOR, GET_FLOOR = "floor, POST", "floor, GET"
KEPT_POST, KEPT_GET, LIVE = "kept, POST", "kept, GET", "live with nonce, POST"
FLOOR_OF = {KEPT_POST: POST_FLOOR, KEPT_GET: GET_FLOOR, LIVE: POST_FLOOR}
GOALS = {KEPT_POST: 0.60, KEPT_GET: 0.60, LIVE: 0.40}


def main() -> None:
    """Serve in a child, measure with wrk, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--profile", type=Path, help="record the child with py-spy during the live rounds")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [*pinned(0), sys.executable, "-m", "bench.ocsp", "--serve", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port = json.loads(server.stdout.readline())["port"]
                measure(options, Path(folder), port, server.pid)
            finally:
                server.terminate()


def measure(options: argparse.Namespace, folder: Path, port: int, pid: int) -> None:
    """Rounds of all cases; prints medians and their share of the floor, by rate and by the server's processor time."""
    cases = (POST_FLOOR, KEPT_POST, LIVE, GET_FLOOR, KEPT_GET)
    rounds: dict[str, list[Loaded]] = {case: [] for case in cases}
    for case in cases:
        load(options, folder, port, pid, case, 1)  # warm: every serial's answer is kept, the responder is made
    for round_ in range(options.rounds):
        for case in cases:
            with profiled(pid, options) if case == LIVE and round_ == 0 else nullcontext():
                rounds[case].append(load(options, folder, port, pid, case, options.seconds))
    print(f"{'case':24} {'answers/s':>10} {'us of CPU':>10} {'of floor':>9} {'by CPU':>7}  goal")
    for case in cases:
        rate, cpu = (statistics.median(getattr(each, name) for each in rounds[case]) for name in ("rate", "cpu"))
        line = f"{case:24} {rate:10.0f} {cpu:10.1f}"
        if case in FLOOR_OF:
            # The share within each round: whatever else the machine does then slows both.
            pairs = list(zip(rounds[case], rounds[FLOOR_OF[case]], strict=True))
            share = statistics.median(mine.rate / floor.rate for mine, floor in pairs)
            by_cpu = statistics.median(floor.cpu / mine.cpu for mine, floor in pairs)
            line += f" {share:9.1%} {by_cpu:7.1%}  {GOALS[case]:.0%} {'met' if share >= GOALS[case] else 'MISSED'}"
        print(line)


@contextmanager
def profiled(pid: int, options: argparse.Namespace) -> Iterator[None]:
    """Record the child with py-spy meanwhile, if asked to."""
    if options.profile is None:
        yield
        return
    py_spy = str(Path(sys.executable).with_name("py-spy"))
    seconds = str(int(options.seconds))
    arguments = ["--pid", str(pid), "--duration", seconds, "--output", str(options.profile), "--format", "raw"]
    with subprocess.Popen([py_spy, "record", *arguments], stdout=subprocess.DEVNULL):
        yield


def load(options: argparse.Namespace, folder: Path, port: int, pid: int, case: str, seconds: float) -> Loaded:
    """Load one case."""
    return wrk(folder / case, port, pid, seconds=seconds, connections=options.connections)


# In the child.


def serve(folder: Path) -> None:
    """Serve on a free port of loopback and say which; writes what wrk sends into ``folder``."""
    from twisted.internet import reactor  # noqa: TID251  # the daemon of this benchmark
    from twisted.internet.defer import Deferred

    failed: list[Any] = []

    def fail(reason: Any) -> None:
        failed.append(reason)
        reactor.stop()  # type: ignore[attr-defined]

    def begin() -> None:
        Deferred.fromCoroutine(_start(reactor, folder)).addErrback(fail)

    reactor.callWhenRunning(begin)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    for reason in failed:
        reason.raiseException()


async def _start(reactor: Any, folder: Path) -> None:
    from bench.authorities import make_ca
    from cspd.audit.chain import HashChain
    from cspd.authority.profiles import load_profiles
    from cspd.authority.registry import AuthorityRegistry
    from cspd.authority.responder_issuance import ResponderIssuance
    from cspd.authority.responders import PROFILE, Responders
    from cspd.authority.status import StatusService
    from cspd.authority.urls import StatusURLs
    from cspd.clock import SystemClock
    from cspd.http.config import Limits
    from cspd.http.message import Request, Response, Route
    from cspd.http.router import Router
    from cspd.http.server import HTTPFactory
    from cspd.keys.encryption import MasterKey
    from cspd.keys.service import KeyService
    from cspd.keys.software import SoftwareKeys
    from cspd.keys.threads import ThreadPool
    from cspd.keys.turns import TurnPool
    from cspd.store.database import open_database
    from cspd.store.tables import metadata
    from cspd.turns import EndOfTurn
    from protocols.ocsp.config import OCSPConfig
    from protocols.ocsp.endpoint import OCSPEndpoint
    from protocols.ocsp.service import OCSPService

    end_of_turn = EndOfTurn(reactor.callLater)
    url = f"sqlite:///{folder}/store.sqlite"
    clock = SystemClock()
    database = open_database(url, reactor=reactor)
    database.start()
    await database.write(metadata.create_all)
    software = SoftwareKeys(
        database=database,
        clock=clock,
        pool=ThreadPool("keys", 2, call_from_thread=reactor.callFromThread),
        fast_pool=TurnPool(end_of_turn),
        master_key=MasterKey(secrets.token_bytes(32), secrets.token_bytes),
        random_bytes=secrets.token_bytes,
    )
    keys = KeyService(providers=[software], default="software", monotonic=reactor.seconds)
    await keys.start()
    registry = AuthorityRegistry(database, reactor)
    status = StatusService(clock=clock, database=database, reactor=reactor)
    status.start()
    ca_certificate = await make_ca(database, keys, clock)
    await database.write(lambda connection: _insert_certificates(connection, ca_certificate))
    await registry.refresh()
    registry.start()
    config = OCSPConfig(next_update=timedelta(hours=8))
    issuance = ResponderIssuance(
        clock=clock,
        random_bytes=secrets.token_bytes,
        database=database,
        keys=keys,
        profile=load_profiles([Path("conf/profiles")])[PROFILE],
        urls=StatusURLs("http://pki.example"),
        audit=HashChain(database, clock, "bench"),
    )
    responders = Responders(clock=clock, database=database, keys=keys, authorities=registry, issuance=issuance)
    service = OCSPService(
        clock=clock, authorities=registry, status=status, responders=responders, keys=keys, config=config
    )
    endpoint = OCSPEndpoint(service=service, clock=clock, config=config)
    answer = Response(200, b"x" * 64, ((b"content-type", b"application/ocsp-response"),))

    async def floor(request: Request) -> Response:
        return answer

    router = Router([Route(methods=("GET", "POST"), path="/floor", handler=floor), *endpoint.routes()])
    limits = Limits(listen_limit=0)
    factory = HTTPFactory(
        router, limits, reactor=reactor, clock=clock, random=SystemRandom(), name="bench", end_of_turn=end_of_turn
    )
    _write_requests(folder, ca_certificate)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    await _delay(reactor, 2)  # the memory of statuses has found the end of the change feed
    print(json.dumps({"port": port.getHost().port}), flush=True)


def _insert_certificates(connection: Any, ca_certificate: Any) -> None:
    """Good certificates of the CA, straight into the store."""
    from sqlalchemy import insert, select

    from cspd.store.tables import authorities, certificates

    authority = connection.execute(select(authorities)).one()
    now = ca_certificate.not_valid_before_utc
    common = {
        "authority_id": authority.id,
        "certificate_der": b"",
        "issuer_certificate_id": authority.certificate_id,
        "profile": "bench",
        "subject": "",
        "names": "",
        "public_key_sha256": "",
        "not_before": now,
        "not_after": now,
        "issued_at": now,
        "protocol": "bench",
        "requester": "bench",
        "state": "good",
    }
    connection.execute(insert(certificates), [{**common, "serial": serial_at(i)} for i in range(SERIALS)])


def serial_at(index: int) -> int:
    """A serial number of 20 octets."""
    return (1 << 152) + index


def _write_requests(folder: Path, ca_certificate: Any) -> None:
    """What wrk sends in each case: HTTP requests, each behind its length in four octets."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding

    from cspd.authority.values import CACertificate
    from protocols.ocsp.codec import HASH_ALGORITHMS, encode_request, nonce_extension
    from protocols.ocsp.issuers import Issuer, Issuers
    from protocols.ocsp.messages import CertID, OCSPRequest, SingleRequest

    now = ca_certificate.not_valid_before_utc
    issuer = Issuer.of(
        CACertificate(
            id="",
            certificate_der=ca_certificate.public_bytes(Encoding.DER),
            key=None,
            not_before=now,
            not_after=now,
        )
    )
    algorithm_der = min(HASH_ALGORITHMS)
    algorithm = HASH_ALGORITHMS[algorithm_der].value
    hashed = [hashlib.new(algorithm, part).digest() for part in (issuer.name_der, issuer.public_key)]
    singles = [SingleRequest(CertID(algorithm_der, *hashed, serial_at(index))) for index in range(SERIALS)]
    assert Issuers([issuer]).find(singles[0].req_cert) is issuer
    bare = [encode_request(OCSPRequest((single,))) for single in singles]
    with_nonces = [
        encode_request(OCSPRequest((singles[index % SERIALS],), (nonce_extension(secrets.token_bytes(32)),)))
        for index in range(NONCES)
    ]
    for case, requests in {
        GET_FLOOR: [_get("/floor")],
        POST_FLOOR: [_post(request, "/floor") for request in bare],
        KEPT_POST: [_post(request) for request in bare],
        KEPT_GET: [_get(f"/ocsp/bench/ca/{quote(base64.b64encode(request), safe='')}") for request in bare],
        LIVE: [_post(request) for request in with_nonces],
    }.items():
        write_requests(folder / case, requests)


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: pki.example\r\n\r\n".encode()


def _post(body: bytes, path: str = "/ocsp/bench/ca") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: pki.example\r\nContent-Type: application/ocsp-request\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _delay(reactor: Any, seconds: float) -> None:
    from twisted.internet.task import deferLater

    await deferLater(reactor, seconds, lambda: None)


if __name__ == "__main__":
    main()
