"""One-time challenges: enrollment secrets in the one string that a challengePassword is (RFC 2985, 5.4.1).

::

    REFERENCE:CODE     whatever the two consist of: also of secrets that were made elsewhere
    REFERENCECODE      letters and digits alone, for products and devices that take nothing else

The second form needs no separator, since the first half of it, 16 characters at most, is the reference. Enrollment
secrets that we make have references of 16 and codes of 24 characters, and those that look like the challenges of
Microsoft's NDES have 8 and 8, or 16 and 16.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from cspd.authentication.secrets import MAX_REFERENCE, MAX_SECRET, GivenSecret

PURPOSE = "scep"
"""Of the enrollment secrets that count here."""
MAX_TOKEN = MAX_REFERENCE + 1 + MAX_SECRET
MIN_JOINED = 16
"""Characters of a challenge without separator."""
_REFERENCE_LETTERS = 16


@dataclass(frozen=True, slots=True)
class OneTimeChallenge:
    """What a client sent, taken apart."""

    reference: str
    code: str = field(repr=False)


def read_challenge(text: str) -> OneTimeChallenge | None:
    """Take a challengePassword apart; None for one that cannot be a one-time challenge."""
    if len(text) > MAX_TOKEN:
        return None
    reference, separator, code = text.partition(":")
    if separator:
        is_one = reference.isascii() and 0 < len(reference) <= MAX_REFERENCE and code != ""
        return OneTimeChallenge(reference, code) if is_one else None
    if len(text) < MIN_JOINED or not text.isascii() or not text.isalnum():
        return None
    middle = min(_REFERENCE_LETTERS, len(text) // 2)
    return OneTimeChallenge(text[:middle], text[middle:])


def joined_text(challenge: OneTimeChallenge) -> str:
    """What a client is to send: without separator where that can be read again."""
    joined = challenge.reference + challenge.code
    return joined if read_challenge(joined) == challenge else f"{challenge.reference}:{challenge.code}"


def ndes_secret(random: Random, digits: int) -> GivenSecret:
    """A secret whose challenge looks like one of NDES: ``digits`` (16 or 32) upper-case hexadecimal digits.

    Half of them are random bits of the code: 32 with 16 digits. That is enough because a reference is locked after few
    wrong codes, and is not known to who guesses.
    """
    text = random.randbytes(digits // 2).hex().upper()
    return GivenSecret(text[: digits // 2], text[digits // 2 :])
