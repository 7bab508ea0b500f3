"""Whatever the bytes are and however the network splits them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.http.conversation import Client, Server, get, post, statuses
from tests.unit.http.test_bad_requests import BAD_REQUESTS, CHUNKED

BOUNDED = settings(max_examples=300, derandomize=True, deadline=None, database=None)

UPGRADE = ("Connection: upgrade", "Upgrade: h2c")
GOOD = [
    get("/echo"),
    get("/nothing"),
    post("/echo", b""),
    post("/echo", b"\r\n\r\n" * 9),
    post("/echo", get("/nothing"), *UPGRADE),
    b"HEAD /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\n" + get("/named/x"),
    CHUNKED + b"4\r\n\r\n\r\n\r\n1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n",
    CHUNKED[:-2] + "\r\n".join(UPGRADE).encode() + b"\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
]
PIECES = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from([request_bytes for request_bytes, _ in BAD_REQUESTS.values()]),
    st.sampled_from([b"\r\n", b"\r", b"\n", b"0\r\n\r\n", b": ", b"\x00", b"Transfer-Encoding: chunked\r\n"]),
    st.binary(max_size=40),
)


def feed(client: Client, server: Server, pieces: list[bytes]) -> bytes:
    """As a transport does: nothing is delivered while the server does not read, nor after a close."""
    answers = b""
    for piece in pieces:
        if client.is_closed:
            break
        answers += client.send(piece)
        while not client.is_read and not client.is_closed:
            server.time.advance(0)
            answers += client.received()
    return answers


@BOUNDED
@given(st.lists(st.sampled_from(GOOD), max_size=30), st.data())
def test_good_requests_are_all_answered_however_split(requests: list[bytes], data: st.DataObject) -> None:
    server = Server()
    answers = feed(server.connect(), server, split(b"".join(requests), data))
    assert statuses(answers) == [404 if b"/nothing HTTP" in request[:30] else 200 for request in requests]


@BOUNDED
@given(st.lists(PIECES, max_size=8), st.data())
def test_any_split_of_any_bytes_gives_the_same_answers(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    whole, parted = Server(), Server()
    expected = feed(whole.connect(), whole, [stream])
    assert feed(parted.connect(), parted, split(stream, data)) == expected
    assert [request.body for request in parted.requests] == [request.body for request in whole.requests]


@BOUNDED
@given(st.binary(max_size=400), st.sampled_from(GOOD), st.integers(0, 200))
def test_mutated_requests_never_raise(noise: bytes, request_bytes: bytes, position: int) -> None:
    server = Server()
    client = server.connect()
    feed(client, server, [request_bytes[:position] + noise + request_bytes[position + 1 :]])
    if not client.is_closed:
        client.shut_down_writing()
    assert client.is_closed


def split(stream: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True) if start < end]
