"""The URLs of one directory: all resources lie below ``/acme/<tenant>/<ca>/<profile>/``."""

from __future__ import annotations

from urllib.parse import quote

PREFIX = "/acme/{tenant}/{ca}/{profile}"
"""The route template."""


def directory_template(public_https: str, tenant: str, profile: str) -> str:
    """The directory's URL with ``{ca}`` where the CA's reference goes (:class:`cspd.plugin.EnrollmentURL`)."""
    return f"{public_https}/acme/{quote(tenant, safe='~')}/{{ca}}/{quote(profile, safe='~')}/directory"


class DirectoryURLs:
    """Absolute URLs from the configured public address, never from the Host header (which the client chooses)."""

    def __init__(self, public_https: str, tenant: str, ca: str, profile: str) -> None:
        segments = "/".join(quote(segment, safe="~") for segment in (tenant, ca, profile))
        self._base = f"{public_https}/acme/{segments}"

    @property
    def directory(self) -> str:
        """The directory; what clients are configured with."""
        return f"{self._base}/directory"

    @property
    def new_nonce(self) -> str:
        """RFC 8555, 7.2."""
        return f"{self._base}/new-nonce"

    @property
    def new_account(self) -> str:
        """RFC 8555, 7.3."""
        return f"{self._base}/new-account"

    @property
    def new_order(self) -> str:
        """RFC 8555, 7.4."""
        return f"{self._base}/new-order"

    @property
    def revoke_cert(self) -> str:
        """RFC 8555, 7.6."""
        return f"{self._base}/revoke-cert"

    @property
    def key_change(self) -> str:
        """RFC 8555, 7.3.5."""
        return f"{self._base}/key-change"

    def account(self, id: str) -> str:
        """The account; the ``kid`` of its requests."""
        return f"{self._base}/account/{id}"

    def account_id(self, url: str) -> str | None:
        """The id in an account URL of this directory; None for any other URL."""
        prefix = f"{self._base}/account/"
        id = url.removeprefix(prefix)
        return id if url.startswith(prefix) and id and "/" not in id else None

    def order(self, id: str) -> str:
        """RFC 8555, 7.1.3."""
        return f"{self._base}/order/{id}"

    def finalize(self, order_id: str) -> str:
        """RFC 8555, 7.4."""
        return f"{self._base}/order/{order_id}/finalize"

    def authorization(self, id: str) -> str:
        """RFC 8555, 7.1.4."""
        return f"{self._base}/authorization/{id}"

    def challenge(self, id: str) -> str:
        """RFC 8555, 7.5.1."""
        return f"{self._base}/challenge/{id}"

    def certificate(self, serial: int) -> str:
        """RFC 8555, 7.4.2."""
        return f"{self._base}/certificate/{serial:x}"
