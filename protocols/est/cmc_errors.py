"""The one table from refusals to the failures of CMC (RFC 5272, 6.1.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cspd import refusals
from cspd.refusals import Refused
from cspd.x509.cmc.messages import THE_WHOLE_MESSAGE, CMCFailInfo

FAIL_INFO: Mapping[type[Refused], CMCFailInfo] = MappingProxyType(
    {
        refusals.Malformed: CMCFailInfo.BAD_REQUEST,
        refusals.Unauthorized: CMCFailInfo.BAD_IDENTITY,
        refusals.Forbidden: CMCFailInfo.BAD_IDENTITY,
        refusals.NotFound: CMCFailInfo.BAD_CERT_ID,
        refusals.Conflict: CMCFailInfo.BAD_REQUEST,
        refusals.AlreadyRevoked: CMCFailInfo.BAD_CERT_ID,
        refusals.BadRevocationReason: CMCFailInfo.BAD_REQUEST,
        refusals.Rejected: CMCFailInfo.BAD_REQUEST,
        refusals.BadProofOfPossession: CMCFailInfo.POP_FAILED,
        refusals.BadPublicKey: CMCFailInfo.BAD_ALG,
        refusals.BadName: CMCFailInfo.BAD_REQUEST,
        refusals.BadExtension: CMCFailInfo.UNSUPPORTED_EXT,
        refusals.BadValidity: CMCFailInfo.BAD_REQUEST,
        refusals.LimitExceeded: CMCFailInfo.TRY_LATER,
        refusals.Unavailable: CMCFailInfo.TRY_LATER,
    }
)


class CMCFailure(Exception):
    """Some body parts, or the whole message, failed for a reason that CMC has a word of its own for."""

    def __init__(self, fail_info: CMCFailInfo, reason: str, body_parts: Iterable[int] = (THE_WHOLE_MESSAGE,)) -> None:
        super().__init__(reason)
        self.fail_info = fail_info
        self.reason = reason
        self.body_parts = tuple(body_parts)


def fail_info_of(refusal: Refused) -> CMCFailInfo:
    """What a refusal is called in CMC; a subclass that the table does not have, as its nearest parent there."""
    return next((FAIL_INFO[kind] for kind in type(refusal).__mro__ if kind in FAIL_INFO), CMCFailInfo.BAD_REQUEST)
