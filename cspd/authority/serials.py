"""Serial numbers (RFC 5280, 4.1.2.2; R-CA-071)."""

from __future__ import annotations

from collections.abc import Callable

SERIAL_OCTETS = 20


def new_serial(random_bytes: Callable[[int], bytes]) -> int:
    """A positive serial number of at most 20 octets with 159 random bits.

    ``random_bytes`` gives that many cryptographically strong octets. The top bit stays clear: a DER INTEGER with it
    set would need a 21st octet to stay positive.
    """
    while True:
        serial = int.from_bytes(random_bytes(SERIAL_OCTETS), "big") >> 1
        if serial:
            return serial
