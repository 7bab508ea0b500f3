"""Who may have the certificate of a CA (RFC 9810, 5.3.11; R-PRO-002)."""

from __future__ import annotations

from cspd.refusals import Forbidden
from protocols.cmp.interfaces import Sender, Terms


def check_may_certify_authorities(sender: Sender, terms: Terms, *, is_vouched_for: bool = False) -> None:
    """Raise Forbidden unless a registration authority asks, or has vouched, or a secret made for this very profile."""
    if sender.is_registration_authority or is_vouched_for:
        return
    if sender.secret is None or sender.secret.profile != terms.profile:
        raise Forbidden("a CA is certified for a registration authority, or by a secret that was made for its profile")
