"""User name and password as HTTP carries them (RFC 7617)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cspd.refusals import Malformed

MAX_AUTHORIZATION = 4096
"""Characters of credentials in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User name and password, or what stands for them."""

    user: str
    password: str = field(repr=False)


def decode_authorization(header: str | None) -> Credentials | None:
    """The credentials of an Authorization header (RFC 7617); None without one, and for another scheme.

    Raises Malformed for what says that it is HTTP Basic and is not.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    if len(token) > MAX_AUTHORIZATION:
        raise Malformed("the Authorization header is too long")
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except ValueError as error:  # binascii.Error and UnicodeError are ValueErrors
        raise Malformed("the Authorization header is not HTTP Basic") from error
    user, separator, password = text.partition(":")
    if not separator:
        raise Malformed("the Authorization header is not HTTP Basic")
    return Credentials(user=user, password=password)


def basic_challenge(realm: str) -> tuple[bytes, bytes]:
    """The header that asks a client for user name and password; ``realm`` is ASCII without quotation marks."""
    return b"www-authenticate", f'Basic realm="{realm}", charset="UTF-8"'.encode("ascii")
