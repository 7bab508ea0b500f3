"""What a client of the Certificate Management Protocol may send."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Octets and counts, per message."""

    message_octets: int = 64 * 1024
    """Certificates of ML-DSA have up to 8 kB each; what is nothing but tiny elements is read in 25 ms."""
    extra_certs: int = 24
    requests: int = 16
    """Certificates, revocations, confirmations or polls; and their answers."""
    general_info: int = 32
    """Items of generalInfo, and of a genm or genp."""
    free_text: int = 8
    """Strings in each PKIFreeText."""
    free_text_octets: int = 4096
    """Each string."""
    identifier_octets: int = 256
    """Nonces, transactionID, senderKID and recipKID."""
    nested_messages: int = 16
    """In a ``nested``, which may not be in another one."""


DEFAULT_LIMITS = Limits()
