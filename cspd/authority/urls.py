"""Where the status of a CA's certificates is published (ca.md section 3)."""

from __future__ import annotations

from cspd.authority.values import CAReference


class StatusURLs:
    """Builds the URLs that certificates carry.

    ``public_http`` is how relying parties reach the server over plain HTTP (RFC 5280, 8: not HTTPS), without a
    trailing slash. Organization and CA ids need no escaping (R-CA-011, R-CA-024).
    """

    def __init__(self, public_http: str) -> None:
        self._base = public_http.rstrip("/")

    def crl(self, ca: CAReference, key_index: int = 0) -> str:
        """The full CRL of the certificates that one key of the CA signed: ``crl.crl``, after a re-key ``crl-1.crl``."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/{_numbered('crl', key_index)}.crl"

    def delta_crl(self, ca: CAReference, key_index: int = 0) -> str:
        """The delta CRL: ``delta.crl``, after a re-key ``delta-1.crl``."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/{_numbered('delta', key_index)}.crl"

    def ocsp(self, ca: CAReference) -> str:
        """The OCSP responder."""
        return f"{self._base}/ocsp/{ca.organization}/{ca.ca_id}"

    def ca_certificate(self, ca: CAReference, certificate_id: str) -> str:
        """One certificate of the CA, DER (RFC 5280, 4.2.2.1)."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/{certificate_id}.cer"


def _numbered(name: str, key_index: int) -> str:
    return f"{name}-{key_index}" if key_index else name
