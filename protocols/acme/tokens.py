"""Random names: ids in URLs, and challenge tokens."""

from __future__ import annotations

from random import Random

from protocols.acme.json_text import encode_base64url

_ID_OCTETS = 16
_TOKEN_OCTETS = 32  # RFC 8555, 8.3 asks for 128 bits of entropy at least


class Tokens:
    """Makes them; none can be guessed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def object_id(self) -> str:
        """22 characters that a URL needs not escape."""
        return encode_base64url(self._random.randbytes(_ID_OCTETS))

    def challenge_token(self) -> str:
        """RFC 8555, 8.1: 43 characters of base64url."""
        return encode_base64url(self._random.randbytes(_TOKEN_OCTETS))
