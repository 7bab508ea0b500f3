"""HTTP: methods, paths, caching (RFC 6960 appendix A, RFC 5019 section 6)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from urllib.parse import quote

import pytest
from cryptography.x509 import ocsp

from cspd.authority.values import Authority, CertificateState
from cspd.http.message import Response
from protocols.ocsp.config import OCSPConfig
from tests.protocols.ocsp.world import World, request_for


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def authority(world: World) -> Authority:
    authority = world.add_ca()
    world.set_status(authority, 5)
    return authority


def serial_of(response: Response) -> int:
    assert response.status == 200
    return ocsp.load_der_ocsp_response(response.body).serial_number


def awkward_request(authority: Authority) -> bytes:
    """A request whose base64 has slashes next to each other and plus signs."""
    for number in range(100_000):
        request = request_for(authority, 5, nonce=b"%06d" % number + b"\xff\xff\xff\xfb\xef\xbe\xff\xff\xff")
        text = base64.b64encode(request)
        if b"//" in text and b"+" in text:
            return request
    raise AssertionError("no such request")


@pytest.mark.requirement("R-CA-051")
@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: quote(text, safe=""),
        lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        lambda text: quote(text),
        lambda text: text.replace("+", " "),
        lambda text: text.replace("+", "%20"),
        lambda text: "/" + text,
        lambda text: "//" + quote(text, safe=""),
    ],
    ids=[
        "as it is",
        "encoded",
        "encoded in lower case",
        "slashes kept",
        "spaces",
        "encoded spaces",
        "one slash",
        "two slashes",
    ],
)
def test_a_get_is_answered_however_its_path_is_written(
    world: World, authority: Authority, write: Callable[[str], str]
) -> None:
    request = awkward_request(authority)
    assert serial_of(world.get(write(base64.b64encode(request).decode()))) == 5


@pytest.mark.requirement("R-CA-051")
def test_a_post_is_answered(world: World, authority: Authority) -> None:
    response = world.post(request_for(authority, 5), content_type=b"Application/OCSP-Request; charset=x")
    assert serial_of(response) == 5
    assert response.headers == ((b"content-type", b"application/ocsp-response"), (b"cache-control", b"no-store"))


def get(world: World, request: bytes, *headers: tuple[bytes, bytes]) -> Response:
    return world.get(quote(base64.b64encode(request).decode(), safe=""), headers=headers)


def test_the_answer_to_a_get_may_be_cached(world: World, authority: Authority) -> None:
    """RFC 5019, 6.2: the fields and what they say."""
    world.clock.advance(timedelta(microseconds=500_000))
    response = get(world, request_for(authority, 5))
    assert dict(response.headers) == {
        b"content-type": b"application/ocsp-response",
        b"cache-control": b"max-age=3600, public, no-transform, must-revalidate",
        b"etag": b'"%s"' % sha256(response.body).hexdigest().encode(),
        b"last-modified": b"Tue, 24 Nov 2026 12:00:00 GMT",
        b"expires": b"Tue, 24 Nov 2026 20:00:00 GMT",
    }


def test_max_age_ends_before_next_update(world: World, authority: Authority) -> None:
    world.configure(OCSPConfig(http_max_age=timedelta(days=7), refresh=timedelta(hours=7)))
    request = request_for(authority, 5)
    assert dict(get(world, request).headers)[b"cache-control"].startswith(b"max-age=28800,")
    world.clock.advance(timedelta(hours=1, microseconds=1))
    assert dict(get(world, request).headers)[b"cache-control"].startswith(b"max-age=25199,")


@pytest.mark.parametrize("field", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_an_answer_that_the_client_has_is_304(world: World, authority: Authority, field: str) -> None:
    request = request_for(authority, 5)
    first = get(world, request)
    tag = dict(first.headers)[b"etag"].decode().strip('"')
    again = get(world, request, (b"if-none-match", field.format(tag).encode()))
    assert (again.status, again.body) == (304, b"")
    assert again.headers == first.headers


def test_another_answer_is_sent_again(world: World, authority: Authority) -> None:
    request = request_for(authority, 5)
    tag = dict(get(world, request).headers)[b"etag"]
    world.set_status(authority, 5, CertificateState.REVOKED)
    response = get(world, request, (b"if-none-match", tag))
    assert ocsp.load_der_ocsp_response(response.body).certificate_status is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize("case", ["nonce", "unknown serial", "error"])
def test_what_is_for_one_client_or_one_moment_is_not_stored(world: World, authority: Authority, case: str) -> None:
    request = {
        "nonce": request_for(authority, 5, nonce=b"n" * 32),
        "unknown serial": request_for(authority, 6),
        "error": b"\x30\x00",
    }[case]
    response = get(world, request)
    assert response.status == 200
    assert dict(response.headers)[b"cache-control"] == b"no-store"
    assert b"etag" not in dict(response.headers)


def test_the_routes_are_those_of_the_certificates(world: World) -> None:
    """R-CA-054 needs a listener to be seen; here are the paths of ca.md section 3."""
    assert [(route.methods, route.path, route.max_body_bytes) for route in world.endpoint.routes()] == [
        (("POST",), "/ocsp/{organization}/{ca}", 8192),
        (("GET",), "/ocsp/{organization}/{ca}/{request:path}", None),
    ]
