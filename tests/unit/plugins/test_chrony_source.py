"""Asking chronyd: what its answers mean, and what may happen to them on the way."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from cspd.refusals import Unavailable
from cspd.timekeeping.values import LeapStatus, Tracking
from plugins.chrony.addresses import parse_address
from plugins.chrony.source import MAX_SOURCES, ChronySource
from tests.support.fake_chronyd import FakeChronyd
from tests.support.running import result_of


class Asking:
    """A source that asks a fake chronyd."""

    def __init__(self, *replies: str, address: str = "udp:127.0.0.1:323") -> None:
        self.chronyd = FakeChronyd(*replies)
        self.reactor = Clock()
        self.source = ChronySource(
            parse_address(address),
            self.chronyd.open,
            timeout=timedelta(seconds=1),
            reactor=self.reactor,
            random=Random(5),
        )

    def begin(self) -> tuple[Deferred[Tracking], list[Any]]:
        results: list[Any] = []
        asking = Deferred.fromCoroutine(self.source.tracking())
        asking.addBoth(results.append)
        return asking, results

    def answer(self) -> Tracking:
        tracking = result_of(self.source.tracking())
        self.check_nothing_is_left()
        return tracking

    def refusal(self, results: list[Any] | None = None) -> str:
        if results is None:
            _, results = self.begin()
        (failure,) = results
        assert isinstance(failure, Failure)
        assert isinstance(failure.value, Unavailable), failure
        self.check_nothing_is_left()
        return failure.value.reason

    def check_nothing_is_left(self) -> None:
        assert self.chronyd.open_sockets == 0
        assert self.reactor.getDelayedCalls() == []


def test_a_clock_that_is_ahead() -> None:
    tracking = Asking("tracking-ahead", "source-selected").answer()
    assert tracking.offset == pytest.approx(0.8, abs=0.01)
    assert (tracking.stratum, tracking.leap, tracking.reference_id) == (2, LeapStatus.NORMAL, "127.0.0.1")
    assert tracking.error_bound > 0.8


@pytest.mark.parametrize(
    ("name", "leap"),
    [
        ("tracking-insert-second", LeapStatus.INSERT_SECOND),
        ("tracking-delete-second", LeapStatus.DELETE_SECOND),
        ("tracking-not-synchronised", LeapStatus.NOT_SYNCHRONISED),
    ],
)
def test_leap_status(name: str, leap: LeapStatus) -> None:
    assert Asking(name, "source-selected").answer().leap is leap


def test_a_chronyd_whose_servers_are_all_gone_follows_nobody() -> None:
    assert Asking("tracking-server-lost", "source-lost", "source-lost").answer().reference_id == ""
    assert Asking("tracking-server-lost").answer().reference_id == ""


def test_one_server_that_answers_is_enough() -> None:
    asking = Asking("tracking-synchronised", "source-lost", "source-selected", "source-lost")
    assert asking.answer().reference_id == "127.0.0.1"


def test_the_clock_as_its_own_reference_is_nobody() -> None:
    """chronyd with ``local`` and no server takes the very clock for right that it should vouch for."""
    assert Asking("tracking-local", "source-selected").answer().reference_id == ""


def test_a_reference_clock_has_a_name() -> None:
    asking = Asking("tracking-synchronised", "source-selected")
    reply_to = asking.chronyd.reply_to

    def with_reference_clock(request: bytes) -> bytes:
        reply = reply_to(request)
        if int.from_bytes(request[4:6]) != 33:
            return reply
        return reply[:28] + b"PPS\0" + bytes(20) + reply[52:]

    asking.chronyd.reply_to = with_reference_clock  # type: ignore[method-assign]
    assert asking.answer().reference_id == "PPS"


def test_no_more_sources_are_asked_for_than_anybody_has() -> None:
    asking = Asking("tracking-server-lost", *["source-lost"] * (MAX_SOURCES + 5))
    asking.answer()
    assert len(asking.chronyd.requests) == 2 + MAX_SOURCES


def test_a_question_that_is_lost_is_sent_again_under_a_new_number() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    asking.chronyd.lose = 3
    _, results = asking.begin()
    for _ in range(3):
        assert results == []
        asking.reactor.advance(0.25)
    assert isinstance(results[0], Tracking)
    assert len({request[8:12] for request in asking.chronyd.requests[:4]}) == 4
    asking.check_nothing_is_left()


def test_a_late_answer_to_an_earlier_sending_counts() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    asking.chronyd.lose = 2
    _, results = asking.begin()
    asking.reactor.advance(0.25)
    asking.chronyd.deliver(asking.chronyd.reply_to(asking.chronyd.requests[0]))
    assert isinstance(results[0], Tracking)


def test_packets_of_others_are_passed_over() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    wrong = bytearray(asking.chronyd.reply_to(bytes.fromhex("060100000021000001020304") + bytes(92)))
    asking.chronyd.before = [b"", b"\xff" * 300, bytes(wrong)]
    assert asking.answer().offset == pytest.approx(0.8, abs=0.01)


def test_a_second_copy_of_an_answer_does_no_harm() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    send = asking.chronyd.send

    def send_twice(packet: bytes) -> None:
        send(packet)
        asking.chronyd.deliver(asking.chronyd.replies[-1])
        asking.chronyd.deliver(asking.chronyd.replies[0])

    asking.chronyd.send = send_twice  # type: ignore[method-assign]
    asking.answer()


@pytest.mark.requirement("R-TSA-054")
def test_silence_is_an_answer_after_the_timeout() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    asking.chronyd.lose = 100
    _, results = asking.begin()
    asking.reactor.pump([0.25] * 3 + [0.2499])
    assert results == []
    asking.reactor.advance(0.0001)
    assert asking.refusal(results) == (
        "chronyd at udp:127.0.0.1:323 gave no answer within 1 s; "
        "it answers only whom cmdallow of its configuration lists"
    )


def test_all_questions_together_have_the_timeout() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    asking.chronyd.lose = 3
    _, results = asking.begin()
    asking.reactor.pump([0.25, 0.25])
    reply = asking.chronyd.reply_to(asking.chronyd.requests[-1])
    asking.chronyd.lose = 100
    asking.chronyd.deliver(reply)
    asking.reactor.pump([0.25, 0.25])
    assert "no answer within 1 s" in asking.refusal(results)


def test_an_answer_that_says_no() -> None:
    asking = Asking("bad-version-5", "source-selected")
    assert "refuses TRACKING: bad packet version" in asking.refusal()


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("address", "number", "said"),
    [
        ("udp:127.0.0.1:323", errno.ECONNREFUSED, "nobody listens at udp:127.0.0.1:323: chronyd is not running, or"),
        ("unix:/run/c.sock", errno.ENOENT, "nobody listens at unix:/run/c.sock: chronyd is not running, or"),
        ("unix:/run/c.sock", errno.EACCES, "unix:/run/c.sock may not be used: the daemon's user must be allowed"),
        ("udp:[2001:db8::1]:323", errno.ENETUNREACH, "udp:[2001:db8::1]:323 cannot be asked: Network is unreachable"),
    ],
)
@pytest.mark.parametrize("when", ["opening", "sending", "sending again", "later"])
@pytest.mark.requirement("R-TSA-054")
def test_what_the_kernel_says_is_said_so_that_it_can_be_put_right(
    address: str, number: int, said: str, when: str
) -> None:
    asking = Asking("tracking-ahead", "source-selected", address=address)
    match when:
        case "opening":
            asking.chronyd.refusal = os_error(number)
            results = None
        case "sending":
            asking.chronyd.errors = [os_error(number)]
            results = None
        case "sending again":
            asking.chronyd.lose = 1
            _, results = asking.begin()
            asking.chronyd.errors = [os_error(number)]
            asking.reactor.advance(0.25)
        case _:
            asking.chronyd.lose = 1
            _, results = asking.begin()
            asking.chronyd.fail(os_error(number))
    assert said in asking.refusal(results)


def test_who_gives_up_leaves_nothing_behind() -> None:
    asking = Asking("tracking-ahead", "source-selected")
    asking.chronyd.lose = 1
    waiting, results = asking.begin()
    waiting.cancel()
    assert results[0].check(CancelledError)
    asking.check_nothing_is_left()
