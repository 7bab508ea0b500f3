"""The exact status of every operation for every wrong content type, encoding, method, certificate and credential."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import RevocationReason
from cspd.http.router import MethodNotAllowed
from tests.protocols.est.world import BASE, LABEL, World, header
from tests.support.authorities import ISSUING
from tests.support.clocks import FrozenClock
from tests.unit.http.certificates import CLIENT_AUTH, make

ALICE_S = "alice:se:cret"
POSTED = ("simpleenroll", "simplereenroll", "serverkeygen", "fullcmc", "revoke")
FETCHED = ("cacerts", "csrattrs", "crl")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
TYPES = {
    "simpleenroll": "application/pkcs10",
    "simplereenroll": "application/pkcs10",
    "serverkeygen": "application/pkcs10",
    "fullcmc": "application/pkcs7-mime",
    "revoke": "application/x-www-form-urlencoded",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, server_key_generation=True)


@pytest.mark.parametrize("operation", POSTED)
@pytest.mark.parametrize("media_type", [*sorted(set(TYPES.values())), "", "text/plain", "application/pkcs10x", "*/*"])
def test_every_other_media_type_is_415_before_anything_is_read(world: World, operation: str, media_type: str) -> None:
    current = world.enroll()
    response = world.ask(operation, b"x", user=ALICE_S, certificate=current, content_type=media_type)
    assert response.status == (400 if media_type == TYPES[operation] else 415)
    assert header(response, b"content-type") == b"text/plain; charset=utf-8"
    # Without credentials too: who does not speak EST is not asked for a password.
    if media_type != TYPES[operation]:
        assert world.ask(operation, b"x", content_type=media_type).status == 415


@pytest.mark.parametrize(
    "media_type", ["application/pkcs10; charset=utf-8", "Application/PKCS10", "application/pkcs10 ;x"]
)
def test_parameters_and_case_of_a_media_type_do_not_matter(world: World, media_type: str) -> None:
    assert world.ask("simpleenroll", world.csr(), user=ALICE_S, content_type=media_type).status == 200


@pytest.mark.parametrize("encoding", [None, "base64", "BASE64", "binary", "8bit", "quoted-printable", "nonsense"])
@pytest.mark.parametrize("form", [bytes, base64.b64encode, base64.encodebytes], ids=["DER", "base64", "lines"])
def test_no_content_transfer_encoding_is_looked_at(
    world: World, encoding: str | None, form: Callable[[bytes], bytes]
) -> None:
    """RFC 8951, 3: it says nothing in HTTP, whatever clients write into it."""
    headers = {} if encoding is None else {"content_transfer_encoding": encoding}
    assert world.ask("simpleenroll", form(world.csr()), user=ALICE_S, **headers).status == 200


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda der: b"",
    "white space": lambda der: b" \r\n\t",
    "base64url": lambda der: base64.b64encode(b"\x30\xfb\xff\xfe" + der).replace(b"+", b"-").replace(b"/", b"_"),
    "base64 cut short": lambda der: base64.b64encode(der).rstrip(b"=")[:-3],
    "base64 twice": lambda der: base64.b64encode(base64.b64encode(der)),
    "base64 and more": lambda der: base64.b64encode(der) + b"!",
    "hexadecimal": lambda der: der.hex().encode(),
    "DER and more": lambda der: der + b"\x00",
    "DER cut short": lambda der: der[:-1],
    "BER of indefinite length": lambda der: b"\x30\x80" + der[4:] + b"\x00\x00",
    "two requests in PEM": lambda der: 2 * x509.load_der_x509_csr(der).public_bytes(Encoding.PEM),
    "PEM without its end": lambda der: x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)[:-30],
    "a request of another name": lambda der: (
        x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).replace(b"CERTIFICATE REQUEST", b"PRIVATE KEY")
    ),
    "too large": lambda der: b"A" * 66_000,
}


@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
@pytest.mark.parametrize("name", BODIES)
def test_every_other_body_is_400(world: World, operation: str, name: str) -> None:
    current = world.enroll()
    body = BODIES[name](world.csr())
    assert world.ask(operation, body, user=ALICE_S, certificate=current).status == 400
    assert len(world.house.audited("certificate-issued")) == 1


@pytest.mark.parametrize("prefix", [BASE, f"{BASE}/devices", f"{BASE}/demo/demo~issuing/tls-client"])
def test_every_other_method_is_refused_with_those_that_there_are(world: World, prefix: str) -> None:
    for operation, allowed in [(name, ("GET", "HEAD")) for name in FETCHED] + [(name, ("POST",)) for name in POSTED]:
        for method in METHODS:
            if method in allowed:
                world.router.resolve(method, f"{prefix}/{operation}")
                continue
            with pytest.raises(MethodNotAllowed) as refused:
                world.router.resolve(method, f"{prefix}/{operation}")
            assert set(allowed) <= {*refused.value.allowed, "HEAD"}
            assert method not in refused.value.allowed


@pytest.mark.parametrize("authorization", ['Digest username="alice"', "Bearer abc", "Negotiate YII=", "basic", "Basic"])
@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen", "revoke"])
def test_only_basic_is_offered(world: World, operation: str, authorization: str) -> None:
    """Digest is off, RFC 7030, 3.2.3 leaves it to us."""
    body = b"" if operation == "revoke" else world.csr()
    response = world.ask(operation, body, authorization=authorization, content_type=TYPES[operation])
    expected = 400 if authorization.lower() == "basic" else 401
    assert response.status == expected
    challenges = [value for name, value in response.headers if name == b"www-authenticate"]
    assert challenges == ([b'Basic realm="cspd EST", charset="UTF-8"'] if expected == 401 else [])


NOW = FrozenClock().now()


def good(world: World) -> bytes:
    return world.enroll()


def revoked(world: World) -> bytes:
    return changed(world, RevocationReason.KEY_COMPROMISE)


def held(world: World) -> bytes:
    return changed(world, RevocationReason.CERTIFICATE_HOLD)


def changed(world: World, reason: RevocationReason) -> bytes:
    current = world.enroll()
    serial = x509.load_der_x509_certificate(current).serial_number
    world.house.revoke(world.house.get(ISSUING), serial, reason)
    return current


def expired(world: World) -> bytes:
    current = world.enroll()
    end = x509.load_der_x509_certificate(current).not_valid_after_utc
    world.house.clock.advance(end - world.house.clock.now() + timedelta(seconds=1))
    return current


def of_the_ca(world: World) -> bytes:
    found = world.house.get(ISSUING).certificate_der
    assert found is not None
    return found


def of_another_profile(world: World) -> bytes:
    response = world.ask(
        "simpleenroll", world.csr(), user=ALICE_S, path=f"{BASE}/servers", accept="application/pkix-cert"
    )
    assert response.status == 200, response.body
    return response.body


def foreign(world: World) -> bytes:
    return make("device", usage=CLIENT_AUTH, now=NOW).der


# By operation, without and with the password of a user: simpleenroll, simplereenroll, revoke.
CERTIFICATES: list[tuple[Callable[[World], bytes], tuple[int, int, int], tuple[int, int, int]]] = [
    (good, (401, 200, 200), (200, 200, 200)),
    (revoked, (401, 403, 403), (200, 403, 403)),
    (held, (401, 403, 403), (200, 403, 403)),
    (expired, (401, 403, 403), (200, 403, 403)),
    (of_the_ca, (401, 403, 403), (200, 403, 403)),
    (of_another_profile, (401, 403, 403), (200, 403, 403)),
    (foreign, (401, 403, 403), (200, 403, 403)),
    (lambda world: b"\x30\x00", (401, 403, 403), (200, 403, 403)),
]


@pytest.mark.parametrize("user", [None, ALICE_S], ids=["alone", "with a password"])
@pytest.mark.parametrize("row", CERTIFICATES, ids=lambda row: row[0].__name__)
def test_every_certificate(
    tmp_path: Path, row: tuple[Callable[[World], bytes], tuple[int, int, int], tuple[int, int, int]], user: str | None
) -> None:
    world = World(tmp_path, labels=[LABEL, {"id": "servers", "ca": "demo~issuing", "profile": "tls-server"}])
    certificate = row[0](world)
    statuses = tuple(
        world.ask(operation, body, user=user, certificate=certificate).status
        for operation, body in (("simpleenroll", world.csr()), ("simplereenroll", world.csr()), ("revoke", b""))
    )
    assert statuses == (row[1] if user is None else row[2])


@pytest.mark.parametrize(
    ("methods", "statuses"),
    [
        (["basic"], (401, 401, 401)),
        (["secret"], (401, 401, 401)),
        (["certificate"], (403, 403, 403)),
        (["challenge"], (403, 403, 403)),
        (["basic", "secret", "certificate", "challenge"], (401, 401, 401)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_who_shows_nothing_is_asked_for_a_password_where_one_is_of_use(
    tmp_path: Path, methods: list[str], statuses: tuple[int, int, int]
) -> None:
    world = World(tmp_path, authentication=methods)
    found = tuple(
        world.ask(operation, body).status
        for operation, body in (("simpleenroll", world.csr()), ("simplereenroll", world.csr()), ("revoke", b""))
    )
    assert found == statuses
