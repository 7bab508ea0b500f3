"""How Windows enrollment says no: the one table from our refusals to SOAP faults and HRESULTs ([MS-WSTEP] 3.1.4.1).

The HRESULT of the detail is what Windows shows to people and writes into its event log: the finest that there is, by
the code of a refusal, else by its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lxml import etree

from cspd.http.soap12 import FAILED_AUTHENTICATION, FaultCode, QName, SOAPFault
from cspd.refusals import (
    AlreadyRevoked,
    BadExtension,
    BadName,
    BadProofOfPossession,
    BadPublicKey,
    BadRevocationReason,
    BadValidity,
    Conflict,
    Forbidden,
    LimitExceeded,
    Malformed,
    NotFound,
    Refused,
    Rejected,
    Unauthorized,
    Unavailable,
)
from protocols.wstep import identity, profile_choice, template_rules
from protocols.wstep.codec import INVALID_REQUEST, TRUST, encode_detail

REQUEST_FAILED: Final = (TRUST, "RequestFailed")
NO_TEMPLATE = "no-template"
UNKNOWN_TEMPLATE = "unknown-template"
BAD_RENEWAL = "bad-renewal-certificate"
NO_SUCH_REQUEST = "no-such-request"
NOT_SUPPORTED = "not-supported"
"""Code of a Rejected for enrollment on behalf of others, archival, attestation and the alternate signature format."""
INTERNAL_REASON: Final = "internal error"


class HRESULT(IntEnum):
    """Error codes of Windows; unsigned, as its documents write them."""

    BAD_REQUEST_SUBJECT = 0x80094001
    PROPERTY_EMPTY = 0x80094004
    BAD_RENEWAL_CERTIFICATE = 0x8009400E
    ENROLL_DENIED = 0x80094011
    TEMPLATE_DENIED = 0x80094012
    DENIED_BY_POLICY = 0x80094014
    UNSUPPORTED_TEMPLATE = 0x80094800
    NO_TEMPLATE = 0x80094801
    LACKS_UPN = 0x8009480D
    LACKS_DNS_NAME = 0x8009480F
    LACKS_MAIL = 0x80094812
    KEY_LENGTH = 0x80094811
    BAD_SIGNATURE = 0x80090006
    INVALID_DATA = 0x8007000D
    INVALID_ARGUMENT = 0x80070057
    ACCESS_DENIED = 0x80070005
    SERVER_UNAVAILABLE = 0x800706BA
    FAILED = 0x80004005

    @property
    def signed(self) -> int:
        """As an xs:int."""
        return self - 0x1_0000_0000


@dataclass(frozen=True, slots=True)
class Fault:
    """How a refusal is told."""

    hresult: HRESULT
    fault_code: FaultCode = FaultCode.RECEIVER
    subcode: QName = REQUEST_FAILED
    invalid_request: bool = True
    """Whether the issuer refused this request; False for what another attempt may get."""


_OF_SENDER: Final = (FaultCode.SENDER, INVALID_REQUEST)

FAULTS: Mapping[type[Refused], Fault] = {
    Malformed: Fault(HRESULT.INVALID_DATA, *_OF_SENDER),
    Unauthorized: Fault(HRESULT.ACCESS_DENIED, FaultCode.SENDER, FAILED_AUTHENTICATION, invalid_request=False),
    Forbidden: Fault(HRESULT.ENROLL_DENIED),
    NotFound: Fault(HRESULT.INVALID_ARGUMENT, *_OF_SENDER),
    Conflict: Fault(HRESULT.FAILED, invalid_request=False),
    AlreadyRevoked: Fault(HRESULT.FAILED),
    BadRevocationReason: Fault(HRESULT.FAILED),
    Rejected: Fault(HRESULT.DENIED_BY_POLICY),
    BadProofOfPossession: Fault(HRESULT.BAD_SIGNATURE, *_OF_SENDER),
    BadPublicKey: Fault(HRESULT.DENIED_BY_POLICY),
    BadName: Fault(HRESULT.BAD_REQUEST_SUBJECT),
    BadExtension: Fault(HRESULT.DENIED_BY_POLICY),
    BadValidity: Fault(HRESULT.DENIED_BY_POLICY),
    LimitExceeded: Fault(HRESULT.SERVER_UNAVAILABLE, invalid_request=False),
    Unavailable: Fault(HRESULT.SERVER_UNAVAILABLE, invalid_request=False),
}

HRESULTS: Mapping[str, HRESULT] = {
    NO_TEMPLATE: HRESULT.NO_TEMPLATE,
    UNKNOWN_TEMPLATE: HRESULT.UNSUPPORTED_TEMPLATE,
    BAD_RENEWAL: HRESULT.BAD_RENEWAL_CERTIFICATE,
    NO_SUCH_REQUEST: HRESULT.PROPERTY_EMPTY,
    template_rules.TEMPLATE_UNSUPPORTED: HRESULT.UNSUPPORTED_TEMPLATE,
    template_rules.TEMPLATE_DENIED: HRESULT.TEMPLATE_DENIED,
    template_rules.SERVICE_DENIED: HRESULT.ENROLL_DENIED,
    template_rules.KEY_TOO_SHORT: HRESULT.KEY_LENGTH,
    template_rules.KEY_CHANGED: HRESULT.BAD_RENEWAL_CERTIFICATE,
    profile_choice.NO_PROFILE: HRESULT.DENIED_BY_POLICY,
    identity.LACKS_PRINCIPAL_NAME: HRESULT.LACKS_UPN,
    identity.LACKS_DNS_NAME: HRESULT.LACKS_DNS_NAME,
    identity.LACKS_MAIL: HRESULT.LACKS_MAIL,
}
"""By the code of a refusal, where that says more than its class."""


def fault_of(refusal: Refused) -> Fault:
    """How a refusal is told; a subclass without a line of its own is told as its base."""
    return next((FAULTS[kind] for kind in type(refusal).__mro__ if kind in FAULTS), FAULTS[Rejected])


def soap_fault(refusal: Refused, relates_to: str | None) -> SOAPFault:
    """The fault for a refusal."""
    fault = fault_of(refusal)
    return SOAPFault(fault.fault_code, refusal.reason, subcode=fault.subcode, relates_to=relates_to)


def detail_of(refusal: Refused) -> etree._Element:
    """The detail of that fault."""
    fault = fault_of(refusal)
    hresult = HRESULTS.get(refusal.refusal_code, fault.hresult)
    return encode_detail(hresult.signed, invalid_request=fault.invalid_request)
