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

    def crl(self, ca: CAReference) -> str:
        """The full CRL."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/crl.crl"

    def delta_crl(self, ca: CAReference) -> str:
        """The delta CRL."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/delta.crl"

    def ocsp(self, ca: CAReference) -> str:
        """The OCSP responder."""
        return f"{self._base}/ocsp/{ca.organization}/{ca.ca_id}"

    def ca_certificate(self, ca: CAReference, certificate_id: str) -> str:
        """One certificate of the CA, DER (RFC 5280, 4.2.2.1)."""
        return f"{self._base}/crl/{ca.organization}/{ca.ca_id}/{certificate_id}.cer"
