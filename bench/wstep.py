"""OCSP while fifty clients enroll by WSTEP from a directory that is 50 ms away, beside OCSP alone (issue 6).

``twistd cspd`` runs on core 0 and asks a Samba domain controller through a relay that keeps each answer back for the
latency. In each round OCSP is asked at a given rate for a while with nobody else there, and again while fifty clients
enroll by user name and password, each its next request when it has its answer. Run from the top folder, as root, for
Samba's ports: ``python -m bench.wstep [--seconds 10] [--rounds 3] [--latency 0.05]``.

Goal: the median time of an OCSP answer is at most half as long again as without the enrollments.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.enrolling import post
from bench.load import cpu_seconds, pinned
from bench.paced import Latencies, paced
from tests.interop.wstep_site import client, directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ocsp_request
from tests.support.processes import free_port, wait_until
from tests.support.samba_ad import PASSWORD, SambaAD
from tests.support.samba_templates import TEMPLATE_OIDS
from tests.support.wstep_client import MEDIA_TYPE, envelope, request_security_token, username_token

GOAL = 1.5
CLIENTS = 50
_LDAPS, _GLOBAL_CATALOG = 636, 3269


def main() -> None:
    """Measure in turn and print; or be one of the other processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200, help="OCSP requests a second")
    parser.add_argument("--latency", type=float, default=0.05, help="of the directory, in seconds")
    parser.add_argument("--relay", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--enroll", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.relay is not None:
        address, port, target, latency = options.relay
        asyncio.run(relay(address, int(port), int(target), float(latency)))
    elif options.enroll is not None:
        url, trusted, seconds = options.enroll
        print(json.dumps(enroll(url, trusted, float(seconds))))
    else:
        with tempfile.TemporaryDirectory() as name, SambaAD() as samba:
            measure(options, Path(name), samba)


def measure(options: argparse.Namespace, folder: Path, samba: SambaAD) -> None:
    """Rounds without and with enrollments."""
    ports = {_LDAPS: free_port(), _GLOBAL_CATALOG: free_port()}
    domain = {"ldap_port": ports[_LDAPS], "global_catalog_port": ports[_GLOBAL_CATALOG]}
    daemon = directory_daemon(folder, samba, keytab=None, domain=domain)
    with relays(samba, ports, options.latency), daemon:
        daemon.start()
        subprocess.run(["taskset", "-acp", "0", str(daemon.pid)], check=True, capture_output=True)
        asked = _ocsp_requests(daemon)
        paced(daemon.http_port, asked, rate=options.rate, seconds=2)  # the answers are kept from here on
        rounds = [_round(options, daemon, asked) for _ in range(options.rounds)]
    alone, beside, enrolled, cpu = zip(*rounds, strict=True)
    _print("OCSP alone", alone)
    _print(f"OCSP beside {CLIENTS} enrollments", beside)
    for name in ("p50", "p99"):
        ratios = sorted(getattr(two, name) / getattr(one, name) for one, two in zip(alone, beside, strict=True))
        goal = ""
        if name == "p50":
            goal = f"; goal {GOAL} {'met' if statistics.median(ratios) <= GOAL else 'MISSED'}"
        span = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{name}: {statistics.median(ratios):.2f} times that of OCSP alone {span}{goal}")
    rate = statistics.median(len(taken) for taken in enrolled) / options.seconds
    times = statistics.quantiles([each for taken in enrolled for each in taken], n=100)
    print(f"enrollments {rate:.1f}/s, p50 {times[49]:.2f} s, p99 {times[98]:.2f} s")
    print(f"processor time of the daemon: {statistics.median(cpu):.0%} of a core with both")


def _round(
    options: argparse.Namespace, daemon: Daemon, asked: list[bytes]
) -> tuple[Latencies, Latencies, list[float], float]:
    alone = paced(daemon.http_port, asked, rate=options.rate, seconds=options.seconds)
    command = [*pinned(1), sys.executable, "-m", "bench.wstep", "--enroll"]
    command += [client(daemon).url, str(daemon.root_pem), str(options.seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as enrolling:
        assert enrolling.stdout is not None
        assert enrolling.stdout.readline() == "begin\n"
        used = cpu_seconds(daemon.pid)
        beside = paced(daemon.http_port, asked, rate=options.rate, seconds=options.seconds)
        cpu = (cpu_seconds(daemon.pid) - used) / options.seconds
        taken = json.loads(enrolling.stdout.readline())
    assert taken, "nobody was issued a certificate"
    return alone, beside, taken, cpu


def _ocsp_requests(daemon: Daemon) -> list[bytes]:
    key = rsa.generate_private_key(65537, 2048)
    asked = requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS["WSTEPUser"]))
    certificate = client(daemon, "alice").enroll(asked).certificate
    issuer = x509.load_pem_x509_certificate(daemon.issuing_pem.read_bytes())
    body = ocsp_request(certificate, issuer)
    return [post("/ocsp/demo/issuing", "application/ocsp-request", body)]


def _print(name: str, runs: tuple[Latencies, ...]) -> None:
    rate, p50, p99 = (statistics.median(getattr(run, field) for run in runs) for field in ("rate", "p50", "p99"))
    print(f"{name:30} {rate:6.0f}/s p50 {p50:6.2f} ms p99 {p99:6.2f} ms")


# Who enrolls.


def enroll(url: str, trusted: str, seconds: float) -> list[float]:
    """Seconds that each certificate took; ``begin`` is printed when all clients have one."""
    key = rsa.generate_private_key(65537, 2048)
    token = requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS["WSTEPUser"]))
    message = envelope(request_security_token(token), security=username_token("alice", PASSWORD))
    context = ssl.create_default_context(cafile=trusted)
    ready = threading.Barrier(CLIENTS + 1)
    end = threading.Event()
    taken: list[float] = []

    def work() -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=120)

        def one() -> float:
            begun = time.perf_counter()
            connection.request("POST", parts.path, message, {"Content-Type": MEDIA_TYPE})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return time.perf_counter() - begun

        one()
        ready.wait()
        while not end.is_set():
            took = one()
            if not end.is_set():
                taken.append(took)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    print("begin", flush=True)
    time.sleep(seconds)
    end.set()
    result = list(taken)
    for thread in threads:
        thread.join()
    return result


# The way to the directory.


@contextmanager
def relays(samba: SambaAD, ports: dict[int, int], latency: float) -> Iterator[None]:
    """A relay to each port of the domain controller, on its address, in a process of its own."""
    started = []
    try:
        for target, port in ports.items():
            command = [
                sys.executable,
                "-m",
                "bench.wstep",
                "--relay",
                samba.address,
                str(port),
                str(target),
                str(latency),
            ]
            process = subprocess.Popen([*pinned(1), *command], stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout is not None
            wait_until(lambda out=process.stdout: out.readline() == "ready\n", what="the relay")  # type: ignore[misc]
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()


async def relay(address: str, port: int, target: int, latency: float) -> None:
    """Relay connections; what the directory says arrives later by the latency."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(address, target)
        await asyncio.gather(_pass_on(reader, inner_writer, 0), _pass_on(inner_reader, writer, latency))

    server = await asyncio.start_server(serve, address, port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while octets := await reader.read(65536):
            loop.call_later(latency, writer.write, octets)
    except ConnectionError:
        pass
    loop.call_later(latency, writer.close)


if __name__ == "__main__":
    main()
