"""One table of bad requests, each with the exact status it gets, whole and byte by byte."""

from __future__ import annotations

import pytest

from tests.unit.http.conversation import DATE, Server, get, post, statuses

HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

BAD_REQUESTS = {
    "TLS ClientHello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "noise": (b"\xff\xfe\xfd", 400),
    "NUL": (b"\x00", 400),
    "bare LF first": (b"\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare CR first": (b"\rGET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space first": (b" GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method in lower case": (b"get /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method unknown": (b"FROB /echo HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "method with a slash": (b"GE/T /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no version": (b"GET /echo\r\n\r\n", 400),
    "version 0.9": (b"GET /echo HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "version 1.2": (b"GET /echo HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "version 2.0": (b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "version 3": (b"GET /echo HTTP/3\r\nHost: a\r\n\r\n", 400),
    "version of two digits": (b"GET /echo HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    "another protocol": (b"GET /echo RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "two spaces before the target": (b"GET  /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces behind the target": (b"GET /echo  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space behind the version": (b"GET /echo HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "tab in the target": (b"GET /ec\tho HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in the target": (b"GET /ec\x00ho HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bytes above ASCII in the target": (b"GET /ech\xc3\xb6 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment in the target": (b"GET /echo#part HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target without a slash": (b"GET echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target * for GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "absolute target of another scheme": (b"GET ftp://a/echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "absolute target with user": (b"GET http://u:p@a/echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "percent without digits": (get("/named/%zz"), 400),
    "percent at the end": (get("/named/a%2"), 400),
    "percent-encoded NUL": (get("/named/a%00"), 400),
    "percent-encoded line break": (get("/named/a%0d%0ab"), 400),
    "percent-encoded Latin-1": (get("/named/%e4"), 400),
    "dot segment": (get("/named/.."), 404),
    "encoded dot segment": (get("/named/%2e%2e"), 404),
    "no path": (get("/nothing"), 404),
    "method not allowed": (b"DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "no Host": (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET /echo HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "Host with a path": (b"GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with a user": (b"GET /echo HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "Host list": (b"GET /echo HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "bare LF in the head": (b"GET /echo HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF behind a header": (b"GET /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "bare CR in a header": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", 400),
    "NUL in a header": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n", 400),
    "control character in a header": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", 400),
    "folded header": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "folded with a tab": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400),
    "space before the first header": (b"GET /echo HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "space before the colon": (b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "header without a name": (b"GET /echo HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "header without a colon": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "header name with brackets": (b"GET /echo HTTP/1.1\r\nHost: a\r\n(X): b\r\n\r\n", 400),
    "length and transfer coding": (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
    "transfer coding and length": (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400),
    "lengths that differ": (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    "lengths that agree": (HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "list of lengths": (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "negative length": (HEAD + b"Content-Length: -3\r\n\r\nabc", 400),
    "length with a plus": (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
    "hexadecimal length": (HEAD + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "length with an underscore": (HEAD + b"Content-Length: 1_0\r\n\r\nabc", 400),
    "empty length": (HEAD + b"Content-Length:\r\n\r\nabc", 400),
    "length over 64 bits": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
    "unknown transfer coding": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "two transfer codings": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "transfer coding identity": (HEAD + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "chunked twice": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunked not last": (HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "disguised chunked": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "empty transfer coding": (HEAD + b"Transfer-Encoding:\r\n\r\n", 400),
    "chunked in HTTP/1.0": (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunk size with a sign": (CHUNKED + b"-1\r\n", 400),
    "chunk size in C": (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
    "chunk size missing": (CHUNKED + b"\r\n\r\n", 400),
    "chunk size over 64 bits": (CHUNKED + b"fffffffffffffffff\r\n", 400),
    "chunk longer than told": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    "chunk ended by bare LF": (CHUNKED + b"1\na\n0\n\n", 400),
    "space behind a chunk size": (CHUNKED + b"1 \r\na\r\n0\r\n\r\n", 400),
    "malformed trailer": (CHUNKED + b"0\r\nX y\r\n\r\n", 400),
    "transfer coding in a trailer": (CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    "length in a trailer": (CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n", 400),
    "endless chunk extension": (CHUNKED + b"1;" + b"x" * 9300 + b"\r\na\r\n0\r\n\r\n", 413),
    "endless trailers": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 1600 + b"\r\n", 413),
    "chunks over the limit": (CHUNKED + b"1000\r\n" + b"x" * 4096 + b"\r\n1001\r\n" + b"x" * 4097 + b"\r\n", 413),
    "length over the limit": (HEAD + b"Content-Length: 8193\r\n\r\n", 413),
    "unknown expectation": (HEAD + b"Content-Length: 3\r\nExpect: 200-ok\r\n\r\n", 417),
    "header over the limit": (get("/echo", "X: " + "x" * 1024), 431),
    "many headers": (get("/echo", *["X: y"] * 200), 431),
    "target over the limit": (get("/" + "x" * 1024), 414),
}


@pytest.mark.parametrize(("request_bytes", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_bad_request_gets_its_status(request_bytes: bytes, status: int) -> None:
    """The status of the table, and no handler sees the request."""
    server = Server()
    answer = server.connect().send(request_bytes)
    assert statuses(answer) == [status]
    assert not server.requests


@pytest.mark.parametrize(("request_bytes", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_bad_request_gets_the_same_answer_byte_by_byte(request_bytes: bytes, status: int) -> None:
    """How the network splits the bytes changes nothing."""
    whole = Server().connect().send(request_bytes)
    client = Server().connect()
    assert b"".join(client.send(request_bytes[i : i + 1]) for i in range(len(request_bytes))) == whole


@pytest.mark.parametrize(("request_bytes", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_what_follows_a_bad_request_is_not_a_request(request_bytes: bytes, status: int) -> None:
    """A refused connection hears nothing more; one that was only answered 404, 405 or 400 for its path goes on."""
    server = Server()
    client = server.connect()
    client.send(request_bytes)
    client.send(get("/echo"))
    assert client.is_refused == (not server.requests)
    goes_on = status in (404, 405) or (b"/named/" in request_bytes and status == 400)
    assert len(server.requests) == (1 if goes_on else 0)


def test_refusal_is_written_exactly_so() -> None:
    assert Server().connect().send(b"\x16") == (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"Server: cspd\r\nDate: " + DATE + b"\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 36\r\n"
        b"Connection: close\r\n"
        b"\r\n"
        b"400 Bad Request\nnot an HTTP request\n"
    )


def test_405_names_the_methods() -> None:
    answer = Server().connect().send(b"DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer == (
        b"HTTP/1.1 405 Method Not Allowed\r\n"
        b"Server: cspd\r\nDate: " + DATE + b"\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"allow: GET, HEAD, OPTIONS, POST\r\n"
        b"Content-Length: 23\r\n"
        b"\r\n"
        b"405 Method Not Allowed\n"
    )


@pytest.mark.requirement("R-PLAT-102")
def test_too_large_a_body_is_refused_before_any_of_it_is_sent() -> None:
    client = Server().connect()
    head, _, _ = post("/echo", b"x" * 8193).partition(b"\r\n\r\n")
    assert statuses(client.send(head + b"\r\n\r\n")) == [413]
    assert client.is_refused


@pytest.mark.requirement("R-PLAT-102")
def test_body_behind_a_refused_head_is_not_read_as_a_request() -> None:
    """Neither a body nor what is smuggled behind it reaches a handler."""
    server = Server()
    client = server.connect()
    assert statuses(client.send(post("/nothing", get("/echo")))) == [404]
    assert client.is_refused
    assert not server.requests
