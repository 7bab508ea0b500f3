"""Payload decoders are total."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.acme import codec
from protocols.acme.errors import ACMEError
from protocols.acme.messages import AccountUpdate, Identifier, NewAccount, NewOrder

DECODERS: list[Callable[[bytes], Any]] = [
    codec.decode_new_account,
    codec.decode_account_update,
    lambda payload: codec.decode_new_order(payload, max_identifiers=3),
    codec.decode_authorization_update,
    codec.decode_challenge_response,
    codec.decode_finalize,
    codec.decode_revoke_cert,
    codec.decode_key_change,
]
MEMBERS = (
    "contact", "termsOfServiceAgreed", "onlyReturnExisting", "status", "identifiers", "notBefore", "notAfter", "csr",
    "certificate", "reason", "account", "oldKey", "type", "value",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["deactivated", "mailto:a@example.org", "dns", "AAAA", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("decode", DECODERS)
@given(payload=st.dictionaries(st.sampled_from(MEMBERS), VALUES).map(lambda value: json.dumps(value).encode())
       | st.binary(max_size=60))  # fmt: skip
def test_any_payload_is_a_message_or_an_error(decode: Callable[[bytes], Any], payload: bytes) -> None:
    with suppress(ACMEError):
        decode(payload)


def test_unknown_members_are_ignored() -> None:
    assert codec.decode_new_account(b'{"externalAccountBinding":{},"x":[1]}') == NewAccount()
    assert codec.decode_account_update(b'{"orders":"x"}') == AccountUpdate()


@pytest.mark.parametrize(
    "contact",
    ["mailto:admin@example.org", "MAILTO:a.b+c@mail.example.org", "mailto:o'neil%20x@example.org"],
)
def test_mail_contacts_are_taken(contact: str) -> None:
    assert codec.decode_new_account(json.dumps({"contact": [contact]}).encode()).contact == (contact,)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-25T00:00:00Z", datetime(2026, 12, 25, tzinfo=UTC)),
        ("2026-12-25t00:00:00z", datetime(2026, 12, 25, tzinfo=UTC)),
        ("2026-12-25T01:00:00.5+01:00", datetime(2026, 12, 25, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-12-25T00:00:00.123456789Z", datetime(2026, 12, 25, 0, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times_are_rfc_3339(text: str, moment: datetime) -> None:
    payload = {"identifiers": [{"type": "dns", "value": "a.example"}], "notAfter": text}
    assert codec.decode_new_order(json.dumps(payload).encode(), max_identifiers=1) == NewOrder(
        identifiers=(Identifier("dns", "a.example"),), not_after=moment
    )


@pytest.mark.parametrize(
    "text", ["2026-13-25T00:00:00Z", "2026-12-25", "2026-12-25 00:00:00Z", "0001-01-01T00:00:00+23:59",
             "٢٠٢٦-12-25T00:00:00Z"]
)  # fmt: skip
def test_other_times_are_refused(text: str) -> None:
    payload = {"identifiers": [{"type": "dns", "value": "a.example"}], "notAfter": text}
    with pytest.raises(ACMEError):
        codec.decode_new_order(json.dumps(payload).encode(), max_identifiers=1)
