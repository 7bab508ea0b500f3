"""Who a client is by a shared secret (RFC 5272, 6.2): identification names it, identityProofV2 shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cspd.authentication.secrets import EnrollmentSecret, FoundSecret
from cspd.authority.approvals import KeptWith
from cspd.authority.interfaces import Recorded
from cspd.authority.values import CAReference
from cspd.refusals import Unauthorized
from cspd.x509.cmc.codec import encode_req_sequence
from cspd.x509.cmc.identity_proof import IdentityProofAlgorithmError, is_proved
from cspd.x509.cmc.messages import CMCFailInfo, Identification, IdentityProofV2, PKIData
from protocols.est.authentication import PURPOSE
from protocols.est.cmc_errors import CMCFailure
from protocols.est.cmc_responses import values_of


class SharedSecrets(Protocol):
    """Secrets that clients were given to enroll with: :class:`cspd.authentication.secrets.EnrollmentSecrets`."""

    async def find(self, purpose: str, reference: str) -> FoundSecret:
        """The usable secret of that name; raises Unauthorized, and Unavailable."""
        ...

    async def failed(self, reference: str) -> None:
        """Count a wrong proof; a secret has so many tries."""
        ...

    def use(self, secret: EnrollmentSecret) -> Recorded:
        """For ``recorded`` of issuance: uses up a one-time secret together with the certificate."""
        ...

    def use_for_request(self, secret: EnrollmentSecret) -> KeptWith:
        """For ``kept_with`` of approvals: uses it up together with a request that waits."""
        ...


@dataclass(frozen=True, slots=True)
class ProvedIdentity:
    """Whom a secret was made for."""

    name: str
    recorded: Recorded
    kept_with: KeptWith


async def proved_identity(
    secrets: SharedSecrets | None, ca: CAReference, profile: str, message: PKIData
) -> ProvedIdentity | None:
    """Who the shared secret says it is; None where there is no identity proof.

    Raises :class:`CMCFailure` for a proof that nobody can check, Unauthorized for one that does not fit or by a secret
    that is not usable, Forbidden for one of another CA or profile, and Unavailable.
    """
    proofs, names = values_of(message, IdentityProofV2), values_of(message, Identification)
    if not proofs:
        return None
    if not names or secrets is None:
        raise CMCFailure(CMCFailInfo.BAD_IDENTITY, "an identity proof needs an identification of a secret we know")
    octets = message.req_sequence_der or encode_req_sequence(message.req_sequence)
    found = await secrets.find(PURPOSE, names[0].identification)
    try:
        fits = is_proved(proofs[0], found.secret, octets)
    except IdentityProofAlgorithmError as error:
        raise CMCFailure(CMCFailInfo.BAD_ALG, str(error)) from error
    if not fits:
        await secrets.failed(found.terms.reference)
        raise Unauthorized("the identity proof does not fit")
    found.terms.require(ca, profile)
    terms = found.terms
    return ProvedIdentity(terms.identity, secrets.use(terms), secrets.use_for_request(terms))
