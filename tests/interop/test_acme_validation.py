"""The validators of ACME against real DNS and HTTP: pebble-challtestsrv, and small servers that lie, hang and flood."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

from cspd.dns.resolver import Resolver
from protocols.acme.challenges.addresses import AddressRules
from protocols.acme.challenges.dns01 import DNS01
from protocols.acme.challenges.http01 import HTTP01
from protocols.acme.challenges.http_client import HTTPClient
from protocols.acme.challenges.values import Target, ValidationFailed
from protocols.acme.config import HTTP01Config
from tests.support.challtestsrv import ChallengeTestServer
from tests.support.processes import free_port

pytestmark = pytest.mark.interop

TARGET = Target(name="www.example.com", token="token", key_authorization="token.thumbprint")
DIGEST = base64.urlsafe_b64encode(hashlib.sha256(b"token.thumbprint").digest()).rstrip(b"=").decode()
RECORD = "_acme-challenge.www.example.com."
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


def run(work: Callable[[Any], Coroutine[Any, Any, None]]) -> tuple[str, float]:
    """Run a validation on a reactor of its own; gives ``valid`` or the error, and the seconds it took."""
    reactor: Any = EPollReactor()
    results: list[Any] = []
    took: list[float] = []

    def begin() -> None:
        Deferred.fromCoroutine(work(reactor)).addBoth(results.append).addBoth(lambda _: end())

    def end() -> None:
        took.append(time.monotonic() - started)
        reactor.callLater(0.05, reactor.stop)  # what was closed gets its turn

    reactor.callWhenRunning(begin)
    started = time.monotonic()
    reactor.run(installSignalHandlers=False)
    if isinstance(results[0], Failure):
        if not isinstance(results[0].value, ValidationFailed):
            results[0].raiseException()
        return f"{results[0].value.type.value}: {results[0].value.detail}", took[0]
    return "valid", took[0]


def resolver(reactor: Any, *nameservers: str) -> Resolver:
    pairs = [(text.split(":")[0], int(text.split(":")[1])) for text in nameservers]
    return Resolver(reactor=reactor, random=Random(1), nameservers=lambda: pairs)


def dns01(*nameservers: str, seconds: float = 3) -> tuple[str, float]:
    return run(
        lambda reactor: DNS01(
            reactor=reactor, resolver=resolver(reactor, *nameservers), query_timeout=seconds
        ).validate(TARGET)
    )


def http01(nameserver: str, port: int, *, allowed: Any = LOOPBACK, **settings: Any) -> tuple[str, float]:
    settings = {"port": port, "retry_count": 0, "attempt_timeout": 5, "max_response_bytes": 8192} | settings
    configuration = HTTP01Config(**settings)
    return run(
        lambda reactor: HTTP01(
            reactor=reactor,
            client=HTTPClient(
                reactor=reactor,
                connect_timeout=configuration.connect_timeout,
                max_body_octets=configuration.max_response_bytes,
            ),
            resolver=resolver(reactor, nameserver),
            rules=AddressRules(allowed),
            configuration=configuration,
        ).validate(TARGET)
    )


@pytest.fixture(scope="module")
def challtestsrv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChallengeTestServer]:
    server = ChallengeTestServer(tmp_path_factory.mktemp("challtestsrv"))
    yield server
    server.stop()


@pytest.fixture
def dns(challtestsrv: ChallengeTestServer) -> Iterator[ChallengeTestServer]:
    """With nothing set."""
    yield challtestsrv
    for command, host in (
        ("clear-txt", RECORD),
        ("clear-servfail", RECORD),
        ("clear-servfail", "www.example.com."),
        ("clear-cname", RECORD),
        ("clear-cname", "other.example.com."),
        ("clear-a", "www.example.com."),
    ):
        challtestsrv.tell(command, host=host)
    challtestsrv.tell("del-http01", token="token")


# dns-01


@pytest.mark.requirement("R-CEG-113")
def test_a_txt_record_is_found(dns: ChallengeTestServer) -> None:
    dns.tell("set-txt", host=RECORD, value="something else")
    dns.tell("set-txt", host=RECORD, value=DIGEST)
    assert dns01(dns.nameserver)[0] == "valid"


def test_a_record_that_comes_late_is_found(dns: ChallengeTestServer) -> None:
    timer = threading.Timer(1.2, dns.tell, ["set-txt"], {"host": RECORD, "value": DIGEST})
    timer.start()
    result, took = dns01(dns.nameserver, seconds=5)
    timer.join()
    assert result == "valid"
    assert took > 1


def test_an_alias_is_followed(dns: ChallengeTestServer) -> None:
    dns.tell("set-cname", host=RECORD, target="other.example.com.")
    dns.tell("set-txt", host="other.example.com.", value=DIGEST)
    assert dns01(dns.nameserver)[0] == "valid"
    dns.tell("clear-txt", host="other.example.com.")


def test_a_circle_of_aliases_is_a_dns_error(dns: ChallengeTestServer) -> None:
    dns.tell("set-cname", host=RECORD, target="other.example.com.")
    dns.tell("set-cname", host="other.example.com.", target=RECORD)
    assert dns01(dns.nameserver)[0].startswith("dns: ")


@pytest.mark.requirement("R-CEG-112")
def test_servfail_is_a_dns_error(dns: ChallengeTestServer) -> None:
    dns.tell("set-servfail", host=RECORD)
    result, took = dns01(dns.nameserver, seconds=3)
    assert result == "dns: DNS: no answer for _acme-challenge.www.example.com: SERVFAIL"
    assert 2 <= took <= 3.5


def test_a_dead_nameserver_is_passed_over(dns: ChallengeTestServer) -> None:
    dns.tell("set-txt", host=RECORD, value=DIGEST)
    result, took = dns01(f"127.0.0.1:{free_port()}", dns.nameserver)
    assert result == "valid"
    assert took < 1.5, "a port that nobody listens on is known at once"


# A nameserver of our own

Reply = Callable[[bytes], list[bytes]]


@contextmanager
def nameserver(reply: Reply, by_tcp: Callable[[bytes], bytes] | None = None) -> Iterator[str]:
    """Answers each UDP query with datagrams (and each TCP query with a message) that the test makes of it."""
    port = free_port()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket()
    udp.bind(("127.0.0.1", port))
    tcp.bind(("127.0.0.1", port))
    tcp.listen()

    def serve_udp() -> None:
        with suppress(OSError):
            while True:
                query, address = udp.recvfrom(4096)
                if not query:
                    return
                for datagram in reply(query):
                    udp.sendto(datagram, address)

    def serve_tcp() -> None:
        with suppress(OSError):
            while True:
                connection, _ = tcp.accept()
                with connection:
                    query = connection.recv(4096)[2:]
                    if by_tcp is not None and query:
                        message = by_tcp(query)
                        connection.sendall(len(message).to_bytes(2) + message)

    threads = [threading.Thread(target=serve, daemon=True) for serve in (serve_udp, serve_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        udp.sendto(b"", ("127.0.0.1", port))  # ends serve_udp
        tcp.shutdown(socket.SHUT_RDWR)
        tcp.close()
        for thread in threads:
            thread.join(5)
        udp.close()


def txt_answer(
    query: bytes, *texts: bytes, flags: int = 0x8180, id: int | None = None, question: bytes | None = None
) -> bytes:
    header = struct.pack("!6H", int.from_bytes(query[:2]) if id is None else id, flags, 1, len(texts), 0, 0)
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!2HIH", 16, 1, 60, len(text) + 1) + bytes([len(text)]) + text for text in texts
    )
    return header + (question or query[12:]) + records


GOOD = DIGEST.encode()


def test_an_answer_from_our_nameserver_is_valid() -> None:
    with nameserver(lambda query: [txt_answer(query, GOOD)]) as address:
        assert dns01(address)[0] == "valid"


LIES: dict[str, Reply] = {
    "another id": lambda query: [txt_answer(query, GOOD, id=(int.from_bytes(query[:2]) + 1) % 65536)],
    "another question": lambda query: [txt_answer(query, GOOD, question=b"\4evil\7example\3com\0\0\x10\0\1")],
    "a query": lambda query: [query],
    "junk": lambda query: [b"\xff" * 40, b"", b"\0"],
    "half": lambda query: [txt_answer(query, GOOD)[:-10]],
    "silence": lambda query: [],
}


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize("lie", LIES)
def test_a_nameserver_that_lies_or_hangs_is_a_dns_error(lie: str) -> None:
    with nameserver(LIES[lie]) as address:
        result, took = dns01(address, seconds=2.5)
    assert result.startswith("dns: ")
    assert 2 <= took <= 3


def test_the_truth_behind_a_lie_is_taken() -> None:
    def reply(query: bytes) -> list[bytes]:
        return [*LIES["another id"](query), *LIES["junk"](query), txt_answer(query, GOOD)]

    with nameserver(reply) as address:
        assert dns01(address)[0] == "valid"


def test_a_truncated_answer_is_asked_for_by_tcp() -> None:
    many = [b"x" * 200] * 200 + [GOOD]
    with nameserver(lambda query: [txt_answer(query, flags=0x8380)], lambda query: txt_answer(query, *many)) as address:
        assert dns01(address)[0] == "valid"


def test_a_nameserver_without_tcp_is_a_dns_error() -> None:
    with nameserver(lambda query: [txt_answer(query, flags=0x8380)]) as address:
        assert dns01(address, seconds=2)[0].startswith("dns: ")


@pytest.mark.parametrize("code", [1, 2, 4, 5, 9])
def test_error_codes_are_a_dns_error(code: int) -> None:
    with nameserver(lambda query: [txt_answer(query, flags=0x8180 | code)]) as address:
        assert dns01(address, seconds=1)[0].startswith("dns: DNS: no answer for _acme-challenge.www.example.com: ")


def test_the_queried_name_is_absolute_and_only_that() -> None:
    seen: list[bytes] = []

    def reply(query: bytes) -> list[bytes]:
        seen.append(query[12:])
        return [txt_answer(query, flags=0x8183)]

    with nameserver(reply) as address:
        assert dns01(address, seconds=1)[0].startswith("dns: ")
    assert set(seen) == {b"\x0f_acme-challenge\3www\7example\3com\0\0\x10\0\1"}


# http-01

Serve = Callable[[socket.socket, bytes], None]


@contextmanager
def web(serve: Serve, *, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A web server; gives its port and the requests it got."""
    requests: list[bytes] = []
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            secured = tls.wrap_socket(connection, server_side=True) if tls else connection
            with secured:
                request = secured.recv(8192)
                requests.append(request)
                serve(secured, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def says(octets: bytes) -> Serve:
    return lambda connection, request: connection.sendall(octets)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\nSet-Cookie: a=b\r\n\r\ntoken.thumbprint"


@pytest.mark.requirement("R-CEG-120")
def test_a_document_is_found_and_no_cookie_is_kept(dns: ChallengeTestServer) -> None:
    with web(says(OK)) as (port, requests):
        assert http01(dns.nameserver, port)[0] == "valid"
    assert requests == [
        b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.example.com:%d\r\n"
        b"User-Agent: cspd ACME validation\r\nAccept: */*\r\nConnection: close\r\n\r\n" % port
    ]


def test_the_responder_of_challtestsrv_is_understood(dns: ChallengeTestServer) -> None:
    dns.tell("add-http01", token="token", content="token.thumbprint")
    assert http01(dns.nameserver, dns.http_port)[0] == "valid"


def flood(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
    for _ in range(2048):
        connection.sendall(b"x" * 1024 * 1024)


def flood_header(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(2048):
        connection.sendall(b"X: y\r\n" * 100_000)


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(("serve", "error"), [(flood, "incorrectResponse"), (flood_header, "connection")])
def test_two_gigabytes_are_cut(dns: ChallengeTestServer, serve: Serve, error: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with web(serve) as (port, _):
        result, took = http01(dns.nameserver, port)
    assert result.startswith(f"{error}: ")
    assert took < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"


def hang(connection: socket.socket, request: bytes) -> None:
    time.sleep(8)


def drip(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n")
    for _ in range(40):
        connection.sendall(b"x")
        time.sleep(0.2)


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize("serve", [hang, drip])
def test_a_host_that_hangs_or_drips_is_left(dns: ChallengeTestServer, serve: Serve) -> None:
    with web(serve) as (port, _):
        result, took = http01(dns.nameserver, port, attempt_timeout=1.5)
    assert result == "connection: www.example.com did not answer in time"
    assert 1.4 <= took <= 2.5


@pytest.mark.requirement("R-CEG-107")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_by_default(dns: ChallengeTestServer, status: int) -> None:
    with web(says(b"HTTP/1.1 %d Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" % status)) as (port, requests):
        result, _ = http01(dns.nameserver, port)
    assert result.startswith("incorrectResponse: ")
    assert len(requests) == 1


@pytest.mark.requirement("R-CEG-108")
@pytest.mark.parametrize(("redirects", "passes"), [(50, True), (51, False), (60, False)])
def test_redirects_are_followed_to_the_fiftieth(dns: ChallengeTestServer, redirects: int, passes: bool) -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        hop = int(request.split(b"hop=")[1].split()[0]) if b"hop=" in request else 0
        if hop == redirects:
            connection.sendall(OK)
        else:
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x?hop=%d\r\nContent-Length: 0\r\n\r\n" % (hop + 1))

    with web(serve) as (port, requests):
        result, _ = http01(dns.nameserver, port, follow_redirects=True)
    assert (result == "valid") is passes
    assert len(requests) == 51


def test_a_redirect_to_https_is_followed_whatever_its_certificate(dns: ChallengeTestServer, tmp_path: Path) -> None:
    with web(says(OK), tls=_server_context(tmp_path)) as (tls_port, _):
        location = b"https://www.example.com:%d/there" % tls_port
        moved = b"HTTP/1.1 301 Moved\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
        with web(says(moved)) as (port, _):
            assert http01(dns.nameserver, port, https_port=tls_port, follow_redirects=True)[0] == "valid"


def _server_context(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(long_ago)
        .not_valid_after(long_ago + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.requirement("R-CEG-110")
@pytest.mark.requirement("R-CEG-111")
def test_a_responder_that_comes_late_is_found(dns: ChallengeTestServer) -> None:
    """Nobody listens at 0 s, 503 at 1 s, the document at 3 s."""
    port = free_port()
    count = [0]

    def serve(connection: socket.socket, request: bytes) -> None:
        count[0] += 1
        connection.sendall(OK if count[0] == 2 else b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))

    def listen() -> None:
        listener.listen()
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                serve(connection, connection.recv(8192))

    timer = threading.Timer(0.5, listen)
    timer.daemon = True
    timer.start()
    result, took = http01(dns.nameserver, port, retry_count=4)
    listener.close()
    timer.join(5)
    assert result == "valid"
    assert 2.8 <= took <= 4


@pytest.mark.requirement("R-CEG-120")
def test_loopback_is_not_connected_to_unless_configured(dns: ChallengeTestServer) -> None:
    with web(says(OK)) as (port, requests):
        result, _ = http01(dns.nameserver, port, allowed=[])
    assert result == "connection: www.example.com has no address that validation may connect to"
    assert requests == []


def test_a_refused_connection_is_a_connection_error(dns: ChallengeTestServer) -> None:
    result, took = http01(dns.nameserver, free_port())
    assert result.startswith("connection: ")
    assert took < 1


def test_servfail_for_the_host_is_a_dns_error(dns: ChallengeTestServer) -> None:
    dns.tell("set-servfail", host="www.example.com.")
    assert http01(dns.nameserver, 80)[0] == "dns: DNS: no answer for www.example.com: SERVFAIL"


def test_what_does_not_speak_http_is_a_connection_error(dns: ChallengeTestServer) -> None:
    with web(says(b"SSH-2.0-OpenSSH_9\r\n")) as (port, _):
        assert http01(dns.nameserver, port)[0].startswith("connection: ")
