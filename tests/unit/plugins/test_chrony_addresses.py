"""How the address of chronyd is written."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from twisted.internet.task import Clock

from cspd.config.connectors import find_connector
from cspd.refusals import Malformed
from plugins.chrony.addresses import parse_address
from plugins.chrony.source import ChronySource

GOOD = ["udp:127.0.0.1:323", "udp:[::1]:323", "udp:192.0.2.7:65535", "unix:/run/chrony/chronyd.sock"]
BAD = [
    "",
    "127.0.0.1:323",
    "udp:127.0.0.1",
    "udp:127.0.0.1:0",
    "udp:127.0.0.1:65536",
    "udp:localhost:323",
    "udp:::1:323",
    "udp:[127.0.0.1]:323",
    "udp:[]:323",
    "udp:127.0.0.1:323 ",
    "tcp:127.0.0.1:323",
    "unix:",
    "unix:run/chronyd.sock",
    "unix:/run/",
    "unix:/run/\0",
    "unix:/" + "a" * 107,
]


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_read_and_written_alike(text: str) -> None:
    assert str(parse_address(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(Malformed) as raised:
        parse_address(text)
    assert f'address "{text}"' in raised.value.reason
    assert '"udp:127.0.0.1:323"' in raised.value.reason
    assert '"unix:/run/chrony/chronyd.sock"' in raised.value.reason


def test_chrony_is_found_among_the_connectors() -> None:
    factory = find_connector("time-source", "chrony")
    source = factory("udp:127.0.0.1:323", timeout=timedelta(seconds=1), reactor=Clock(), random=Random(1))
    assert isinstance(source, ChronySource)
    with pytest.raises(Malformed):
        factory("localhost", timeout=timedelta(seconds=1), reactor=Clock(), random=Random(1))
