"""User name and password as HTTP carries them, from any header."""

from __future__ import annotations

import base64
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.basic import basic_challenge, decode_authorization
from cspd.refusals import Malformed


@given(st.text(max_size=60))
def test_any_header_is_read_or_malformed(text: str) -> None:
    with suppress(Malformed):
        decode_authorization(f"Basic {text}")
    decode_authorization(text if not text.lower().startswith("basic") else None)


@given(st.text(max_size=20).filter(lambda text: ":" not in text), st.text(max_size=20))
def test_credentials_are_read_as_they_were_written(user: str, password: str) -> None:
    token = base64.b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
    found = decode_authorization(f"bAsIc {token}")
    assert found is not None
    assert (found.user, found.password) == (
        user.encode("utf-8", "replace").decode(),
        password.encode("utf-8", "replace").decode(),
    )


def test_a_password_is_not_shown() -> None:
    found = decode_authorization("Basic " + base64.b64encode(b"alice:secret").decode())
    assert "alice" in repr(found)
    assert "secret" not in repr(found)


def test_a_client_is_asked_in_utf_8() -> None:
    assert basic_challenge("cspd") == (b"www-authenticate", b'Basic realm="cspd", charset="UTF-8"')
