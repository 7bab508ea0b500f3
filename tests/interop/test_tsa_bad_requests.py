"""Bad requests at the real daemon: each has exactly one answer, and the next good one is granted."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from protocols.tsp import codec
from protocols.tsp.messages import HashAlgorithm, PKIFailureInfo
from tests.protocols.tsp.authority import request_for
from tests.protocols.tsp.bad_requests import BAD
from tests.support.daemon import Daemon

pytestmark = pytest.mark.interop

GOOD = codec.encode_request(request_for())
TYPE = "application/timestamp-query"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A request over HTTP, and its answer."""

    body: bytes = GOOD
    issuer: str = "demo"
    content_type: str = TYPE
    method: str = "POST"
    more: str = ""
    status: int = 200
    fail_info: PKIFailureInfo | None = None


ROWS = {
    **{
        name: Bad(body=BAD[name][0], fail_info=BAD[name][1])
        for name in (
            *("nothing", "something behind it", "indefinite length", "length in a longer form"),
            *("an imprint of 31 octets", "an imprint of 33 octets", "version 0", "version 2"),
            *("an unknown critical extension", "an unknown extension that is not critical"),
        )
    },
    "a policy of somebody else": Bad(
        body=codec.encode_request(request_for(req_policy="1.2.3")), fail_info=PKIFailureInfo.UNACCEPTED_POLICY
    ),
    "a hash that is not listed": Bad(
        body=codec.encode_request(request_for(algorithm=HashAlgorithm.SHA1)), fail_info=PKIFailureInfo.BAD_ALG
    ),
    "8192 octets": Bad(body=GOOD.ljust(8192, b"\0"), fail_info=PKIFailureInfo.BAD_DATA_FORMAT),
    "8193 octets": Bad(body=GOOD.ljust(8193, b"\0"), status=413),
    "the type of answers": Bad(content_type="application/timestamp-reply", status=415),
    "a form": Bad(content_type="application/x-www-form-urlencoded", status=415),
    "an issuer that there is not": Bad(issuer="nobody", status=404),
    "GET": Bad(method="GET", body=b"", status=405),
    "a head of more than 1024 octets": Bad(more=f"Cookie: {'x' * 1024}\r\n", status=431),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    # Monitoring would raise the header limit of the listener.
    changes = {"listeners.http.protocols": ["ocsp", "repository", "tsp"], "protocols.monitoring": None}
    with Daemon(tmp_path_factory.mktemp("tsa"), changes=changes) as daemon:
        yield daemon


def send(daemon: Daemon, bad: Bad) -> tuple[int, bytes]:
    """Status and body of the answer; the connection is closed by whoever is told to."""
    head = f"{bad.method} /tsa/{bad.issuer} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bad.more}"
    head += f"Content-Type: {bad.content_type}\r\nContent-Length: {len(bad.body)}\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=60) as connection:
        connection.sendall(head.encode() + bad.body)
        while more := connection.recv(65536):
            answer += more
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert status is not None, answer
    return int(status[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.requirement("R-TSA-002", "R-TSA-004", "R-TSA-005", "R-TSA-034")
@pytest.mark.parametrize("bad", ROWS.values(), ids=ROWS)
def test_bad_request_has_its_answer_and_disturbs_nobody(daemon: Daemon, bad: Bad) -> None:
    status, body = send(daemon, bad)
    assert status == bad.status
    if bad.fail_info is not None:
        assert body == codec.REJECTIONS[bad.fail_info]
    granted, token = send(daemon, Bad())
    assert (granted, token[4:9]) == (200, b"\x30\x03\x02\x01\x00")
    assert "Traceback" not in daemon.output()
