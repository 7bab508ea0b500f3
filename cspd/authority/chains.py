"""The certificates of a CA as people download them (R-CA-045)."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cspd.authority.values import Authority
from cspd.refusals import Conflict


def chain_pem(authority: Authority) -> bytes:
    """The CA's certificate and its issuers, PEM, root last; raises Conflict while it has no certificate."""
    if authority.certificate_der is None:
        raise Conflict(f"{authority.reference} has no certificate yet")
    return pem_of((authority.certificate_der, *authority.chain_der))


def pem_of(certificates_der: Iterable[bytes]) -> bytes:
    """Certificates in PEM (RFC 7468, 5.1), one after the other."""
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + _lines(base64.b64encode(der)) + b"-----END CERTIFICATE-----\n"
        for der in certificates_der
    )


def _lines(text: bytes) -> bytes:
    return b"".join(text[start : start + 64] + b"\n" for start in range(0, len(text), 64))
