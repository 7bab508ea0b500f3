"""Tickets of a real KDC (Samba's Heimdal), the clients of MIT Kerberos and curl, and our acceptor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest

from cspd.authentication.negotiate import AnotherLeg, Negotiated, Negotiation
from cspd.authentication.spnego import read_token
from cspd.refusals import Unauthorized, Unavailable
from plugins.active_directory.directory import ActiveDirectory
from tests.interop.active_directory.asking import ask
from tests.support.kerberos_client import KERBEROS, SPNEGO, negotiate, token
from tests.support.processes import free_port, program, run
from tests.support.running import result_of
from tests.support.samba_ad import PASSWORD, SambaAD

pytestmark = pytest.mark.interop

T = TypeVar("T")


class AtOnce:
    """Implements :class:`cspd.directory.threads.Threads` without threads."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()


@pytest.fixture(autouse=True)
def kerberos(samba: SambaAD, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CONFIG", str(samba.krb5_conf))


@pytest.fixture
def alice(samba: SambaAD, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has logged on."""
    return dict(samba.kinit("alice", tmp_path / "alice"))


def acceptor(keytab: Path, **settings: Any) -> Any:
    from cspd.authentication.kerberos import KeytabAcceptor  # gssapi is an extra: other tests are collected without it

    return KeytabAcceptor(keytab, **settings)


def negotiation(samba: SambaAD, tmp_path: Path, *, keytab: str = "http", **settings: Any) -> Negotiation:
    principal = settings.pop("principal", f"HTTP/{samba.service}")
    accepting = acceptor(samba.keytab(keytab), principal=principal, replay_cache=tmp_path / "replays")
    return Negotiation(accepting, threads=AtOnce(), seconds=monotonic, **settings)


def accept(negotiation: Negotiation, token: bytes, **more: Any) -> Negotiated:
    more.setdefault("connection", b"a connection")
    answer = result_of(negotiation.authenticate(negotiate(token), **more))
    assert isinstance(answer, Negotiated)
    return answer


def refusal(negotiation: Negotiation, token: bytes, **more: Any) -> str:
    more.setdefault("connection", b"a connection")
    with pytest.raises(Unauthorized, match=r"^the Kerberos ticket is not accepted$") as refused:
        result_of(negotiation.authenticate(negotiate(token), **more))
    return refused.value.detail


def service(samba: SambaAD, host: str = "ca") -> str:
    return f"HTTP/{host}.{samba.domain}@{samba.realm}"


@pytest.mark.requirement("R-CEG-126")
@pytest.mark.parametrize("mechanism", [SPNEGO, KERBEROS], ids=["SPNEGO", "Kerberos alone"])
def test_a_ticket_says_who_its_user_is(samba: SambaAD, tmp_path: Path, alice: dict[str, str], mechanism: str) -> None:
    answer = accept(negotiation(samba, tmp_path), token(service(samba), alice, mechanism=mechanism))
    assert answer.principal.name == "alice@CSPD.TEST"
    assert answer.principal.sid is not None
    assert answer.principal.sid.startswith(samba.sid + "-")
    assert answer.header is not None
    assert answer.header.startswith(b"Negotiate ")

    async def question(directory: ActiveDirectory) -> None:
        assert await directory.account_of(answer.principal) == await directory.authenticate("alice", PASSWORD)

    ask(samba.settings(), question)


def test_a_machine_has_tickets_too(samba: SambaAD, tmp_path: Path) -> None:
    environment = samba.kinit("WS1$", tmp_path / "ws1", keytab="ws1")
    answer = accept(negotiation(samba, tmp_path), token(service(samba), environment))
    assert answer.principal.name == "WS1$@CSPD.TEST"
    assert (answer.principal.account, answer.principal.realm) == ("WS1$", "CSPD.TEST")


def test_a_ticket_counts_once(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    first = token(service(samba), alice)
    accept(negotiation(samba, tmp_path), first)
    assert "replay" in refusal(negotiation(samba, tmp_path), first).lower()


@pytest.mark.requirement("R-CEG-126")
def test_a_ticket_for_another_service_is_refused(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    """By the keytab that has no such key, and, where it has one, by the name of the service."""
    other = token(service(samba, "other"), alice)
    assert refusal(negotiation(samba, tmp_path), other)
    assert "a ticket for HTTP/other" in refusal(negotiation(samba, tmp_path, keytab="other"), other)


@pytest.mark.requirement("R-CEG-125")
@pytest.mark.requirement("R-CEGI-025")
def test_an_rc4_ticket_needs_the_switch(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    of_rc4 = {"keytab": "rc4", "principal": f"HTTP/rc4.{samba.domain}"}
    first = token(service(samba, "rc4"), alice)
    assert 23 in read_token(first).encryption_types
    assert "encryption types [23]" in refusal(negotiation(samba, tmp_path, **of_rc4), first)
    accept(negotiation(samba, tmp_path, allow_deprecated=True, **of_rc4), token(service(samba, "rc4"), alice))


def test_a_damaged_ticket_is_refused(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    good = token(service(samba), alice)
    for at in (len(good) // 2, len(good) - 20):
        assert refusal(negotiation(samba, tmp_path), good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
    assert refusal(negotiation(samba, tmp_path), good[:-1])


def test_a_ticket_that_is_bound_to_another_connection_is_refused(
    samba: SambaAD, tmp_path: Path, alice: dict[str, str]
) -> None:
    bound = {"binding": "tls-server-end-point:ours"}
    accept(
        negotiation(samba, tmp_path),
        token(service(samba), alice, **bound),
        channel_binding=b"tls-server-end-point:ours",
    )
    accept(negotiation(samba, tmp_path), token(service(samba), alice), channel_binding=b"tls-server-end-point:ours")
    theirs = token(service(samba), alice, **bound)
    assert "bindings" in refusal(negotiation(samba, tmp_path), theirs, channel_binding=b"tls-server-end-point:theirs")


def test_a_clock_that_is_wrong(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    """The clock of the client is ten minutes ahead when it makes its token."""
    token(service(samba), alice)  # the KDC, whose clock is right, is not asked again
    ahead = {**alice, "LD_PRELOAD": _faketime(), "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    assert "skew" in refusal(negotiation(samba, tmp_path), token(service(samba), ahead)).lower()


def _faketime() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.fail("faketime is not installed; .ci/install-counterparts installs it")
    return str(found[0])


def test_a_client_that_would_rather_something_else_gets_another_leg(
    samba: SambaAD, tmp_path: Path, alice: dict[str, str]
) -> None:
    """As Windows does it: NTLM or NegoEx stands first, and Kerberos is what the server asks for."""
    from cspd.x509 import tlv

    kerberos = token(service(samba), alice, mechanism=KERBEROS)
    oids = b"".join(map(tlv.object_identifier, ("1.3.6.1.4.1.311.2.2.30", KERBEROS)))
    init = tlv.sequence(
        tlv.element(0xA0, tlv.sequence(oids)),
        tlv.element(0xA2, tlv.element(tlv.OCTET_STRING, b"NEGOEXTS")),
    )
    first = tlv.element(0x60, tlv.object_identifier(SPNEGO) + tlv.element(0xA0, init))
    server = negotiation(samba, tmp_path)
    answer = result_of(server.authenticate(negotiate(first), connection=b"one"))
    assert isinstance(answer, AnotherLeg)
    second = tlv.element(
        0xA1,
        tlv.sequence(
            tlv.element(0xA0, tlv.element(tlv.ENUMERATED, b"\x01")),
            tlv.element(0xA2, tlv.element(tlv.OCTET_STRING, kerberos)),
        ),
    )
    assert refusal(server, second, connection=b"another")
    # The mechanism was changed, so that a MIC is due (RFC 4178, 5): the exchange is not over without one.
    third = result_of(server.authenticate(negotiate(second), connection=b"one"))
    assert isinstance(third, AnotherLeg)


def test_a_keytab_that_cannot_be_used(samba: SambaAD, tmp_path: Path, alice: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        acceptor(tmp_path / "none")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be used"):
        acceptor(tmp_path / "empty")


@pytest.fixture
def web(samba: SambaAD, tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """A web server that asks our acceptor; its port, and who has come."""
    server_side = negotiation(samba, tmp_path)
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer = result_of(
                    server_side.authenticate(
                        self.headers.get("Authorization"), connection=repr(self.client_address).encode()
                    )
                )
            except Unauthorized as error:
                seen.append(error.detail or error.reason)
                header, status = b"Negotiate", 401
            else:
                assert isinstance(answer, Negotiated)
                seen.append(answer.principal.name)
                header, status = answer.header or b"", 200
            self.send_response(status)
            self.send_header("WWW-Authenticate", header.decode())
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.requirement("R-CEG-122")
def test_curl_gets_in_by_a_ticket_and_not_by_ntlm(
    samba: SambaAD, alice: dict[str, str], web: tuple[int, list[str]]
) -> None:
    port, seen = web
    host = samba.service
    url = [f"http://{host}:{port}/", "--resolve", f"{host}:{port}:127.0.0.1", "--noproxy", "*"]
    told = ["-s", "-o", "/dev/null", "-w", "%{http_code}"]
    done = run([program("curl"), *told, "--negotiate", "-u", ":", *url], environment=alice)
    assert (done.stdout, seen[-1]) == ("200", "alice@CSPD.TEST")
    done = run([program("curl"), *told, "--ntlm", "-u", "alice:secret", *url], environment=alice)
    assert done.stdout == "401"
    done = run([program("curl"), *told, *url], environment=alice)
    assert (done.stdout, seen[-1]) == ("401", "a Kerberos ticket is needed")


def test_the_directory_is_read_by_a_keytab(samba: SambaAD) -> None:
    """SASL with GSSAPI, inside of TLS and of StartTLS."""
    for ldaps in (True, False):
        kerberos = {"principal": "svc-cspd", "keytab": str(samba.keytab("svc-cspd"))}
        domain = samba.domain_settings(ldaps=ldaps, kerberos=kerberos)
        del domain["user"], domain["password"]
        settings = samba.settings(domains=[domain], kerberos_configuration=str(samba.krb5_conf))
        account = ask(settings, lambda directory: directory.authenticate("alice@cspd.test", PASSWORD))
        assert account.account_name == "alice"
