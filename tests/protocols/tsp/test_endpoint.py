"""Timestamps over HTTP: what HTTP itself refuses, and exact answers to bad requests."""

from __future__ import annotations

import pytest

from cspd.http.router import MethodNotAllowed, Router
from protocols.tsp import codec
from protocols.tsp.messages import PKIFailureInfo
from tests.protocols.tsp.authority import ISSUER, Authority, request_for
from tests.protocols.tsp.bad_requests import BAD

REPLY = ((b"content-type", b"application/timestamp-reply"), (b"cache-control", b"no-store"))


@pytest.mark.requirement("R-TSA-001")
def test_answer_is_a_timestamp_reply_that_nobody_keeps() -> None:
    response = Authority().post(codec.encode_request(request_for()))
    assert (response.status, response.headers) == (200, REPLY)


@pytest.mark.parametrize("content_type", ["application/timestamp-query; charset=binary", "Application/Timestamp-Query"])
def test_content_type_is_read_as_http_wants_it(content_type: str) -> None:
    response = Authority().post(codec.encode_request(request_for()), content_type=content_type)
    assert (response.status, response.headers) == (200, REPLY)


@pytest.mark.parametrize("content_type", ["", "application/timestamp-reply", "application/x-www-form-urlencoded"])
def test_other_content_type_is_refused(content_type: str) -> None:
    authority = Authority()
    response = authority.post(codec.encode_request(request_for()), content_type=content_type)
    assert (response.status, response.body) == (415, b"POST an application/timestamp-query.\n")
    assert authority.keys.signatures == 0


@pytest.mark.requirement("R-TSA-002")
def test_unknown_issuer_is_not_found() -> None:
    response = Authority().post(codec.encode_request(request_for()), issuer="nobody")
    assert (response.status, response.body) == (404, b"There is no such issuer of timestamps.\n")


@pytest.mark.requirement("R-TSA-005")
def test_body_over_the_limit_is_too_large_also_where_the_listener_takes_more() -> None:
    assert Authority().post(bytes(8192)).body == codec.REJECTIONS[PKIFailureInfo.BAD_DATA_FORMAT]
    assert Authority().post(bytes(8193)).status == 413


def test_only_post_is_answered() -> None:
    router = Router(Authority().endpoint.routes())
    with pytest.raises(MethodNotAllowed) as raised:
        router.resolve("GET", f"/tsa/{ISSUER}")
    assert raised.value.allowed == ("OPTIONS", "POST")


@pytest.mark.requirement("R-TSA-034")
@pytest.mark.parametrize("name", [name for name, (body, _) in BAD.items() if len(body) <= 8192])
def test_bad_request_has_exactly_one_answer(name: str) -> None:
    body, fail_info = BAD[name]
    authority = Authority()
    response = authority.post(body)
    assert (response.status, response.headers) == (200, REPLY)
    assert response.body == codec.REJECTIONS[fail_info]
    assert authority.keys.signatures == 0
