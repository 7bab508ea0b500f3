"""PEM certificate chains (RFC 7468; RFC 8555, 9.1)."""

from __future__ import annotations

import base64
from collections.abc import Iterable


def encode_chain(certificates_der: Iterable[bytes]) -> bytes:
    """Certificates, one after the other, without explanatory text."""
    return b"".join(_encode(certificate_der) for certificate_der in certificates_der)


def _encode(certificate_der: bytes) -> bytes:
    text = base64.b64encode(certificate_der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"
