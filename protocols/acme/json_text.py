"""JSON and base64url as JOSE wants them: strict, bounded, total."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from protocols.acme.errors import ACMEError, ErrorType

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def malformed(detail: str) -> ACMEError:
    """The error of a message that breaks its syntax."""
    return ACMEError(ErrorType.MALFORMED, detail)


def decode_base64url(text: object, what: str) -> bytes:
    """The octets of unpadded base64url (RFC 7515, 2); ``what`` names the field in the error.

    Padding, other alphabets, white space and set bits behind the last octet are refused, so that each value has one
    spelling. Raises malformed.
    """
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise malformed(f"{what} is not base64url without padding")
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:  # pragma: no cover  # the pattern lets nothing through
        raise malformed(f"{what} is not base64url without padding") from error
    if encode_base64url(octets) != text:
        raise malformed(f"{what} is not canonical base64url")
    return octets


def encode_base64url(octets: bytes) -> str:
    """Unpadded base64url (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode_object(octets: bytes, what: str) -> dict[str, Any]:
    """The members of a JSON object; raises malformed for anything else.

    Refused too: duplicate members (two parsers may see two messages, RFC 7515, 4), NaN and its like, lone surrogates
    and NUL, which no text column can hold.
    """
    try:
        text = octets.decode("utf-8")
        if "\x00" in text or "\\u0000" in text:
            raise ValueError("NUL")
        value = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises for a lone surrogate
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what} is not JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise malformed(f"{what} is not a JSON object")
    return value


def encode_json(value: Mapping[str, Any]) -> bytes:
    """A JSON text."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def canonical_json(value: Mapping[str, str]) -> bytes:
    """Members in lexicographic order without white space (RFC 7638, 3)."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(name)
