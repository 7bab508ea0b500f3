"""What a request holds beside its key: a one-time password, and what ties it to its connection.

Both may stand in the challengePassword of PKCS#9 (RFC 7030, 3.5), which older clients know, or each in an attribute of
its own (RFC 7894). They are told apart by their form: a one-time password is ``REFERENCE:SECRET``, and base64, in which
a channel binding is written, has no colon.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from hmac import compare_digest

from cspd.authentication.basic import Credentials
from cspd.http.channel_bindings import ChannelBindings
from cspd.refusals import BadProofOfPossession
from cspd.x509.csr import CHALLENGE_PASSWORD, EST_IDENTITY_LINKING, OTP_CHALLENGE, CertificationRequest
from protocols.est.messages import ChannelBinding, Terms

_ATTRIBUTES = frozenset({CHALLENGE_PASSWORD, OTP_CHALLENGE, EST_IDENTITY_LINKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenges:
    """What was found in the attributes of a request."""

    one_time_password: Credentials | None = None
    linking: str | None = field(default=None, repr=False)
    """Base64 of a channel binding, if the client is right."""


def asks_for_challenges(terms: Terms) -> bool:
    """Whether requests are looked at for any."""
    return terms.challenge or terms.channel_binding is not ChannelBinding.OFF


def has_challenges(csr: CertificationRequest) -> bool:
    """Whether a request is not the same at the client's next attempt, or has a secret in it."""
    return not _ATTRIBUTES.isdisjoint(csr.attribute_types)


def read_challenges(csr: CertificationRequest, terms: Terms) -> Challenges:
    """Tell the attributes of a request apart.

    A challengePassword with a colon is a one-time password only where the terms have use for one.
    """
    password, linking = csr.otp_challenge, csr.est_identity_linking
    legacy = csr.challenge_password
    if legacy is not None:
        if terms.challenge and password is None and ":" in legacy:
            password = legacy
        elif linking is None:
            linking = legacy
    reference, separator, secret = (password or "").partition(":")
    credentials = Credentials(user=reference, password=secret) if terms.challenge and separator else None
    return Challenges(one_time_password=credentials, linking=linking)


def check_channel_binding(csr: CertificationRequest, bindings: ChannelBindings, terms: Terms) -> None:
    """Check that a request was made for the connection that it came over (RFC 7030, 3.5).

    The binding is tls-unique (RFC 5929) up to TLS 1.2, and tls-exporter (RFC 9266) from TLS 1.3 on, where tls-unique is
    none. Raises BadProofOfPossession for another one, and without one where it is required.
    """
    if terms.channel_binding is ChannelBinding.OFF:
        return
    challenges = read_challenges(csr, terms)
    if challenges.linking is None:
        unreadable = csr.challenge_password is None and CHALLENGE_PASSWORD in csr.attribute_types
        unreadable |= csr.est_identity_linking is None and EST_IDENTITY_LINKING in csr.attribute_types
        if unreadable or terms.channel_binding is ChannelBinding.REQUIRED:
            raise BadProofOfPossession("the request is not tied to its TLS connection: challengePassword is needed")
        return
    octets = bindings.tls_exporter or bindings.tls_unique
    expected = b64encode(octets) if octets else None
    given = challenges.linking.encode("utf-8")
    if expected is None or not compare_digest(given, expected):
        raise BadProofOfPossession("the challengePassword of the request is not the channel binding of its connection")
