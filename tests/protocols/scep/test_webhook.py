"""Deliveries of webhooks: their signatures and what they say."""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import Forbidden, Malformed
from protocols.scep import webhook
from protocols.scep.webhook import MAX_EVENT, MAX_IDENTITY, Delivery, DeliverySignatures, read_event

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = b"a key that two programs have"
SIGNATURES = DeliverySignatures(key=KEY, tolerance=timedelta(minutes=5))
BODY = b'{"webhook": {}}'
JAMF = {"webhookEvent": "SCEPChallenge", "id": 1, "eventTimestamp": 1757435578000, "name": "SCEP"}


def signed(at: datetime = NOW, body: bytes = BODY, key: bytes = KEY) -> Delivery:
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(key, timestamp.encode() + b"." + body, "sha256").hexdigest()
    return Delivery(body=body, timestamp=timestamp, signature=signature)


def event(body: Any) -> str:
    return read_event(json.dumps(body).encode())


def test_a_signed_delivery_is_known() -> None:
    delivery = signed()
    found = SIGNATURES.verify(delivery, NOW)
    assert delivery.signature is not None
    assert found.hex() == delivery.signature
    for form in (f"sha256={delivery.signature}", delivery.signature.upper()):
        again = Delivery(body=BODY, timestamp=delivery.timestamp, signature=form)
        assert SIGNATURES.verify(again, NOW) == found


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_timestamp_may_be_off_by_the_tolerance(minutes: int) -> None:
    delivery = signed(NOW + timedelta(minutes=minutes))
    SIGNATURES.verify(delivery, NOW)
    with pytest.raises(Forbidden, match="timestamp of the delivery is not about now"):
        SIGNATURES.verify(delivery, NOW - timedelta(minutes=minutes, seconds=minutes))


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(body=BODY + b" ", timestamp=signed().timestamp, signature=signed().signature),
        Delivery(body=BODY, timestamp=signed(NOW + timedelta(seconds=1)).timestamp, signature=signed().signature),
        Delivery(body=BODY, timestamp=None, signature=signed().signature),
        Delivery(body=BODY, timestamp="", signature=signed().signature),
        Delivery(body=BODY, timestamp="9" * 12, signature=signed().signature),
        Delivery(body=BODY, timestamp="-5", signature=signed().signature),
        Delivery(body=BODY, timestamp=signed().timestamp, signature=None),
        Delivery(body=BODY, timestamp=signed().timestamp, signature=""),
        Delivery(body=BODY, timestamp=signed().timestamp, signature="sha256="),
        Delivery(body=BODY, timestamp=signed().timestamp, signature=f"sha1={signed().signature}"),
        Delivery(body=BODY, timestamp=signed().timestamp, signature=f"{signed().signature}\n"),
        signed(key=KEY + b"!"),
    ],
)
def test_what_is_not_signed_so_is_refused(delivery: Delivery) -> None:
    with pytest.raises(Forbidden, match="signature of the delivery is wrong"):
        SIGNATURES.verify(delivery, NOW)


def test_the_body_and_the_timestamp_cannot_be_shifted_into_each_other() -> None:
    timestamp = str(int(NOW.timestamp()))
    signature = hmac.new(KEY, f"{timestamp}.5.x".encode(), "sha256").hexdigest()
    SIGNATURES.verify(Delivery(body=b"5.x", timestamp=timestamp, signature=signature), NOW)
    with pytest.raises(Forbidden):
        SIGNATURES.verify(Delivery(body=b"x", timestamp=f"{timestamp}.5", signature=signature), NOW)


@pytest.mark.parametrize("verdict", [True, False])
def test_nothing_but_a_comparison_in_constant_time_decides(monkeypatch: pytest.MonkeyPatch, verdict: bool) -> None:
    monkeypatch.setattr(webhook, "compare_digest", lambda left, right: verdict)
    if verdict:
        SIGNATURES.verify(signed(key=b"another"), NOW)
    else:
        with pytest.raises(Forbidden):
            SIGNATURES.verify(signed(), NOW)


def test_a_key_is_not_printed() -> None:
    assert "two programs" not in repr(SIGNATURES)


@pytest.mark.parametrize(
    ("of_event", "identity"),
    [
        ({"scepServerUrl": "https://pki.example", "payloadIdentifier": "CDB0BC64"}, "CDB0BC64"),
        ({"payloadIdentifier": "CDB0BC64", "device": {"uuid": "5D", "serialNumber": "C02M23"}}, "C02M23"),
        ({"payloadIdentifier": "CDB0BC64", "device": {"uuid": "5D"}}, "5D"),
        ({"payloadIdentifier": "CDB0BC64", "udid": "EBBF"}, "EBBF"),
        ({"payloadIdentifier": "", "device": "C02M23"}, ""),
        ({"payloadIdentifier": 5}, ""),
        ({"payloadIdentifier": "a\nb\x00"}, "a?b?"),
        ({"payloadIdentifier": "x" * 500}, "x" * MAX_IDENTITY),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_an_event_says_whom_its_challenge_is_for(of_event: object, identity: str) -> None:
    assert event({"webhook": JAMF, "event": of_event}) == identity


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"\xff",
        b"[" * MAX_EVENT,
        b'{"webhook": {"webhookEvent": "SCEPChallenge"}}' + b" " * MAX_EVENT,
        b"5",
        b"{}",
        b'{"webhook": "SCEPChallenge"}',
        b'{"webhook": {"webhookEvent": "ComputerAdded"}}',
        b'{"webhookEvent": "SCEPChallenge"}',
    ],
)
def test_other_bodies_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_event(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["webhook", "event", "device", "udid"]), inner),
)


@given(JSON | st.builds(lambda value: {"webhook": JAMF, "event": value}, JSON))
def test_any_event_names_somebody_or_is_malformed(value: object) -> None:
    with suppress(Malformed):
        identity = event(value)
        assert len(identity) <= MAX_IDENTITY
        assert identity.isprintable()
