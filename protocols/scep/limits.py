"""What a client of the Simple Certificate Enrolment Protocol may send."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Octets and counts, per message."""

    message_octets: int = 64 * 1024
    """A request of RSA has 3 kB; one of ML-DSA-87 with its certificate has 25 kB."""
    transaction_id_octets: int = 256
    """A SHA-512 in hexadecimal has 128."""
    nonce_octets: int = 64
    """RFC 8894, 3.2.1.5 asks for 16."""
    fail_info_text_octets: int = 1024


DEFAULT_LIMITS = Limits()
