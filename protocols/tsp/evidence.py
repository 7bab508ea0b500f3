"""What is expected of a token, and what was found out about it; :mod:`protocols.tsp.verification` finds out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from cryptography import x509

from protocols.tsp.messages import HashAlgorithm, PKIStatusInfo, TimeStampReq, TSTInfo


class Flaw(Enum):
    """Why something is no evidence."""

    UNREADABLE = "unreadable"
    """Not a TimeStampResp or TimeStampToken."""
    NOT_GRANTED = "not-granted"
    """A response that says no, or has no token."""
    CONTENT_TYPE = "content-type"
    """What is signed is no TSTInfo, or the signed attributes say so."""
    SIGNERS = "signers"
    """Not exactly one (RFC 3161, 2.4.2)."""
    NO_CERTIFICATE = "no-certificate"
    """The signer's certificate is neither in the token nor given."""
    MESSAGE_DIGEST = "message-digest"
    """The TSTInfo is not what was signed."""
    SIGNING_CERTIFICATE = "signing-certificate"
    """The signed attributes name no certificate, or another."""
    SIGNATURE = "signature"
    ALGORITHMS = "algorithms"
    """The signed attribute CMSAlgorithmProtection names others than those that were used (RFC 6211)."""
    KEY_USAGE = "key-usage"
    """The certificate is not for signatures, or not for timestamping alone (RFC 3161, 2.3)."""
    PATH = "path"
    """The certificate leads to no trust anchor, or was not valid at genTime."""
    TSA_NAME = "tsa-name"
    """``tsa`` is none of the certificate's names."""
    EXTENSION = "extension"
    """A critical extension of the TSTInfo that we do not know."""
    IMPRINT = "imprint"
    """The token is for other data."""
    NONCE = "nonce"
    """The token answers another query."""
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why something is no evidence."""

    flaw: Flaw
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the token has to be about; what is not given is not compared."""

    digest_of: Callable[[HashAlgorithm], bytes] | None = None
    """Gives the digest of the data by the algorithm of the token."""
    hashed_message: bytes | None = None
    """The digest, where the data is not at hand."""
    request: TimeStampReq | None = None
    """Whose imprint, nonce and policy must be those of the token."""
    policy: str | None = None
    """Dotted."""


NOTHING_EXPECTED = Expectation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that there is to say of a token."""

    status: PKIStatusInfo | None = None
    """None for a token without its response."""
    tst_info: TSTInfo | None = None
    hash_algorithm: HashAlgorithm | None = None
    """Of the imprint; None for one we do not know."""
    is_qualified: bool = False
    """With ``esi4-qtstStatement-1``: the maker says it; whether the maker may is for trusted lists to say."""
    token_sha256: bytes | None = None
    """Of the TimeStampToken in DER, as the timestamp log has it."""
    signer: x509.Certificate | None = None
    path: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    """From the signer's certificate to the trust anchor."""
    digest_algorithm: str | None = None
    """Of the CMS signature, dotted."""
    signature_algorithm: str | None = None
    """Dotted."""
    findings: tuple[Finding, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing was found against it."""
        return not self.findings
