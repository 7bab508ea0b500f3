"""The HTTP server under twistd, met by curl, OpenSSL and clients that do not behave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.http.certificates import CLIENT_AUTH, Party, make

pytestmark = pytest.mark.interop

TAC = Path(__file__).with_name("http_server.tac")
TWISTD = "from twisted.scripts.twistd import run; run()"
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Running:
    """A server process and the ports of its listeners, in the order given."""

    process: subprocess.Popen[str]
    ports: list[int]

    def connect(self, data: bytes = b"", listener: int = 0) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=20)
        connection.sendall(data)
        return connection

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)
        assert self.process.stdout is not None
        while not self.process.stdout.readline().endswith("reloaded\n"):
            assert self.process.poll() is None


def command(folder: Path) -> list[str]:
    return [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile", str(folder / "pid"), "-y", str(TAC)]


def environment(*listeners: dict[str, Any]) -> dict[str, str]:
    return {**os.environ, "HTTP_SERVER": json.dumps(listeners), "PYTHONPATH": str(TAC.parents[2])}


@contextmanager
def running(folder: Path, *listeners: dict[str, Any]) -> Iterator[Running]:
    with subprocess.Popen(
        command(folder), env=environment(*listeners), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            output = []
            while "ready " not in (line := process.stdout.readline()):  # twistd logs what is printed
                output.append(line)
                assert line, "".join(output)
            yield Running(process, [int(port) for port in line.partition("ready ")[2].split()])
        finally:
            process.kill()


def listener(**options: Any) -> dict[str, Any]:
    return {"endpoint": "tcp:0:interface=127.0.0.1", **options}


def read_answer(connection: socket.socket) -> bytes:
    """One answer, by its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, begun = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    body = bytearray(begun)  # grows in place: a large answer is read faster than the write timeout, also under load
    while len(body) < length:
        body += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + bytes(body)


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def curl(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *arguments],
        check=check,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Plain HTTP with the default limits, but short timeouts."""
    limits = {"read_timeout": "4s", "write_timeout": "4s", "idle_timeout": "2s"}
    with running(tmp_path_factory.mktemp("plain"), listener(limits=limits)) as server:
        yield server


# Clients that behave.


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--http1.0"], ""),
        (["--http1.1"], ""),
        (["--http2"], ""),
        (["--data", "abc"], "abc"),
        (["--http2", "--data", "abc"], "abc"),
        (["--data", "abc", "--header", "Transfer-Encoding: chunked"], "abc"),
        (["--data", "abc", "--header", "Expect: 100-continue"], "abc"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_curl_is_answered(plain: Running, arguments: list[str], answer: str) -> None:
    url = f"http://127.0.0.1:{plain.ports[0]}/echo"
    result = curl(*arguments, url, url, "--write-out", " %{http_code} %{num_connects};")
    connects = "1" if "--http1.0" in arguments else "0"
    assert result.stdout == f"{answer} 200 1;{answer} 200 {connects};"


def test_curl_head_and_refusals(plain: Running) -> None:
    url = f"http://127.0.0.1:{plain.ports[0]}"
    assert "x-method: HEAD" in curl("--head", f"{url}/echo").stdout
    assert curl("--write-out", "%{http_code}", f"{url}/nothing").stdout == "404 Not Found\n404"
    large = curl("--data", "x" * 9000, "--write-out", "%{http_code}", f"{url}/echo").stdout
    assert large.endswith("413")
    assert curl("--data", "x" * 100000, "--write-out", "%{size_download}", f"{url}/enroll").stdout.endswith("100000")


# Clients that do not.


def test_two_hundred_slow_clients_stall_nobody(plain: Running) -> None:
    slow = [plain.connect(b"GET /ech") for _ in range(200)]
    started = time.monotonic()
    for _ in range(100):
        for connection in slow[:20]:
            connection.sendall(b"o")
        with closing(plain.connect(GET)) as connection:
            assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - started < 10
    assert all(read_to_end(connection).startswith(b"HTTP/1.1 503 ") for connection in slow)
    for connection in slow:
        connection.close()


def test_client_that_does_not_read_stalls_nobody_and_is_cut(plain: Running) -> None:
    with closing(plain.connect(b"GET /large?50000000 HTTP/1.1\r\nHost: a\r\n\r\n")) as stalled:
        with closing(plain.connect(GET)) as connection:
            assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
        time.sleep(6)  # the write timeout is 4 seconds
        with pytest.raises(ConnectionError):  # what the kernel holds can still be read, then comes the reset
            read_to_end(stalled)


def test_slow_reader_gets_all_of_a_large_answer(plain: Running) -> None:
    with closing(plain.connect(b"GET /large?20000000 HTTP/1.1\r\nHost: a\r\n\r\n")) as connection:
        time.sleep(1)
        assert len(read_answer(connection)) > 20_000_000
        connection.sendall(GET)
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


def test_half_closed_client_gets_its_answer(plain: Running) -> None:
    with closing(plain.connect(b"GET /wait?0.3 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)) as connection:
        connection.shutdown(socket.SHUT_WR)
        answers = read_to_end(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.requirement("R-PLAT-102")
def test_client_of_an_oversized_body_reads_the_refusal(plain: Running) -> None:
    """It sends megabytes without looking; a reset before the 413 is read would hide the reason."""
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"
    with closing(plain.connect(head)) as connection:
        for _ in range(10):
            connection.sendall(b"x" * 100_000)
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.requirement("R-PLAT-101")
def test_slow_request_is_answered_503(plain: Running) -> None:
    with closing(plain.connect(GET[:-2])) as connection:
        assert read_to_end(connection).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


@pytest.mark.requirement("R-PLAT-101")
def test_slow_answer_is_503(plain: Running) -> None:
    with closing(plain.connect(b"GET /wait?7 HTTP/1.1\r\nHost: a\r\n\r\n")) as connection:
        assert read_to_end(connection).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


def test_idle_connection_is_closed(plain: Running) -> None:
    with closing(plain.connect(GET)) as connection:
        read_answer(connection)
        started = time.monotonic()
        assert connection.recv(1) == b""
        assert 1 < time.monotonic() - started < 6


def test_only_the_named_interface_listens(tmp_path: Path) -> None:
    with running(tmp_path, listener(), {"endpoint": "tcp:0"}) as server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.ports[0]), timeout=5)
        socket.create_connection(("127.0.0.2", server.ports[1]), timeout=5).close()
        for port in server.ports:
            with pytest.raises(OSError, match=r"refused|unavailable|not supported|assign|unreachable"):
                socket.create_connection(("::1", port), timeout=5)


# Start and stop.


def test_taken_port_ends_twistd_with_address_and_port(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            command(tmp_path),
            env=environment(listener(endpoint=f"tcp:{port}:interface=127.0.0.1")),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode != 0
    assert f"127.0.0.1:{port}" in result.stdout + result.stderr
    assert not (tmp_path / "pid").exists()


def test_sigterm_lets_the_running_request_end(tmp_path: Path) -> None:
    with running(tmp_path, listener()) as server:
        idle = server.connect(GET)
        read_answer(idle)
        request = server.connect(b"GET /wait?2 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        with pytest.raises(ConnectionError):
            server.connect(GET).recv(1)
        assert read_to_end(request).endswith(b"waited")
        assert server.process.wait(20) == 0
        idle.close()
        request.close()


# TLS.


@dataclass
class Certificates:
    folder: Path
    root: Party
    issuing: Party

    def write(self, name: str, party: Party, *chain: Party) -> None:
        (self.folder / f"{name}.pem").write_bytes(b"".join(member.pem for member in (party, *chain)))
        (self.folder / f"{name}.key").write_bytes(party.key_pem())

    def write_server(self) -> Party:
        party = make("server", self.issuing, names=["localhost", "127.0.0.1"])
        self.write("server", party, self.issuing, self.root)
        return party

    def tls(self, **options: Any) -> dict[str, Any]:
        pair = {"certificate": str(self.folder / "server.pem"), "key": str(self.folder / "server.key")}
        return listener(tls={**pair, **options})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    root = make("root", is_ca=True)
    found = Certificates(tmp_path_factory.mktemp("tls"), root, make("issuing", root, is_ca=True))
    found.write("root", root)
    found.write_server()
    found.write("client", make("client", found.issuing, usage=CLIENT_AUTH), found.issuing)
    found.write("stranger", make("stranger"))
    return found


@pytest.fixture(scope="module")
def secure(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    trust = str(certificates.folder / "root.pem")
    with running(
        tmp_path_factory.mktemp("secure"),
        certificates.tls(),
        certificates.tls(client_certificates="optional", client_trust=trust),
        certificates.tls(client_certificates="required", client_trust=trust),
    ) as server:
        yield server


def s_client(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments],
        input="Q\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.requirement("R-PLAT-025")
def test_openssl_gets_tls_1_2_and_1_3_and_nothing_older(secure: Running) -> None:
    for version, protocol in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        result = s_client(secure.ports[0], version)
        assert result.returncode == 0
        assert protocol in result.stdout
    for version in ("-tls1", "-tls1_1"):
        result = s_client(secure.ports[0], version, "-cipher", "ALL:@SECLEVEL=0")
        assert result.returncode != 0
        assert "Cipher is (NONE)" in result.stdout


@pytest.mark.requirement("R-PLAT-026")
def test_openssl_gets_no_suite_without_aead(secure: Running) -> None:
    assert s_client(secure.ports[0], "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256").returncode == 0
    assert s_client(secure.ports[0], "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA").returncode != 0


@pytest.mark.requirement("R-CEG-154")
@pytest.mark.requirement("R-PLAT-029")
def test_openssl_gets_the_whole_chain(secure: Running) -> None:
    assert s_client(secure.ports[0], "-showcerts").stdout.count("-----BEGIN CERTIFICATE-----") == 3


def test_curl_verifies_the_server(secure: Running, certificates: Certificates) -> None:
    arguments = ["--cacert", str(certificates.folder / "root.pem"), "--data", "abc", "--write-out", " %{http_version}"]
    assert curl(*arguments, f"https://localhost:{secure.ports[0]}/echo").stdout == "abc 1.1"


def client_certificate(server: Running, certificates: Certificates, number: int, name: str | None) -> str | None:
    """What the handler saw of curl's certificate, as hex; None if curl was refused."""
    folder = certificates.folder
    pair = ["--cert", str(folder / f"{name}.pem"), "--key", str(folder / f"{name}.key")] if name else []
    trust = ["--cacert", str(folder / "root.pem")]
    result = curl(*trust, *pair, f"https://localhost:{server.ports[number]}/client", check=False)
    return result.stdout if result.returncode == 0 else None


def test_client_certificates_are_asked_for_as_configured(secure: Running, certificates: Certificates) -> None:
    pem = (certificates.folder / "client.pem").read_bytes()
    own, issuing = (party.public_bytes(Encoding.DER) for party in x509.load_pem_x509_certificates(pem))
    shown = (own + b"|" + issuing).hex()
    for number, name, seen in (
        (0, None, ""),
        (0, "client", ""),
        (1, None, ""),
        (1, "client", shown),
        (1, "stranger", None),
        (2, None, None),
        (2, "client", shown),
        (2, "stranger", None),
    ):
        assert client_certificate(secure, certificates, number, name) == seen, (number, name)


@pytest.mark.requirement("R-CEG-155")
@pytest.mark.requirement("R-PLAT-027")
def test_reload_during_a_request(secure: Running, certificates: Certificates) -> None:
    """The running request ends under the old certificate; who comes later sees the new one."""
    trust = ["--cacert", str(certificates.folder / "root.pem")]
    url = f"https://localhost:{secure.ports[0]}/wait?2"
    with subprocess.Popen(
        ["curl", "--silent", "--noproxy", "*", "--max-time", "20", *trust, url, url], stdout=subprocess.PIPE, text=True
    ) as old:
        time.sleep(0.7)
        party = certificates.write_server()
        secure.reload()
        assert old.poll() is None
        shown = s_client(secure.ports[0]).stdout
        start = shown.index("-----BEGIN CERTIFICATE-----")
        assert x509.load_pem_x509_certificate(shown[start:].encode()) == party.certificate
        assert old.communicate(timeout=20)[0] == "waitedwaited"


def test_handshake_that_never_comes_stalls_nobody(secure: Running, certificates: Certificates) -> None:
    silent = [secure.connect() for _ in range(50)]
    noisy = [secure.connect(b"GET / HTTP/1.1\r\n\r\n") for _ in range(50)]
    test_curl_verifies_the_server(secure, certificates)
    for connection in noisy:
        connection.settimeout(10)
        assert not read_to_end(connection).startswith(b"HTTP")
    for connection in (*silent, *noisy):
        connection.close()
