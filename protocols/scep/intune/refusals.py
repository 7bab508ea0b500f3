"""What a device is told when Intune says no: the one table from Intune's codes to SCEP's failInfo."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.scep.errors import PKIMessageRefused
from protocols.scep.intune.values import IntuneCode, RefusedByIntune
from protocols.scep.messages import FailInfo

_WRONG_CHALLENGE = (FailInfo.BAD_MESSAGE_CHECK, "Intune does not accept the challenge password")
_OTHER_PROFILE = (FailInfo.BAD_REQUEST, "the request is not what Intune's profile asks for")

FAIL_INFO: Mapping[IntuneCode, tuple[FailInfo, str]] = {
    IntuneCode.UNKNOWN: (FailInfo.BAD_REQUEST, "Intune does not accept the request"),
    IntuneCode.CERTIFICATE_REQUEST_DECODING_FAILED: (FailInfo.BAD_REQUEST, "Intune cannot read the request"),
    IntuneCode.CHALLENGE_PASSWORD_MISSING: (FailInfo.BAD_MESSAGE_CHECK, "the request has no challenge password"),
    IntuneCode.CHALLENGE_DESERIALIZATION_ERROR: _WRONG_CHALLENGE,
    IntuneCode.CHALLENGE_DECRYPTION_ERROR: _WRONG_CHALLENGE,
    IntuneCode.CHALLENGE_DECODING_ERROR: _WRONG_CHALLENGE,
    # badTime is about signingTime (RFC 8894, 3.2.1.4), not about the challenge.
    IntuneCode.CHALLENGE_INVALID_TIMESTAMP: _WRONG_CHALLENGE,
    IntuneCode.CHALLENGE_EXPIRED: (FailInfo.BAD_MESSAGE_CHECK, "the challenge password has expired"),
    IntuneCode.SUBJECT_NAME_MISSING: (FailInfo.BAD_REQUEST, "the request has no subject"),
    IntuneCode.SUBJECT_NAME_MISMATCH: _OTHER_PROFILE,
    IntuneCode.SUBJECT_ALT_NAME_MISSING: (FailInfo.BAD_REQUEST, "the request has no subjectAltName"),
    IntuneCode.SUBJECT_ALT_NAME_MISMATCH: _OTHER_PROFILE,
    IntuneCode.KEY_USAGE_MISMATCH: _OTHER_PROFILE,
    IntuneCode.KEY_LENGTH_MISMATCH: (FailInfo.BAD_ALG, "the key is not as long as Intune's profile asks for"),
    IntuneCode.ENHANCED_KEY_USAGE_MISSING: (FailInfo.BAD_REQUEST, "the request has no extendedKeyUsage"),
    IntuneCode.ENHANCED_KEY_USAGE_MISMATCH: _OTHER_PROFILE,
    IntuneCode.AAD_KEY_IDENTIFIER_LIST_MISSING: (FailInfo.BAD_MESSAGE_CHECK, "Intune does not know the device's key"),
    IntuneCode.REGISTERED_KEY_MISMATCH: (FailInfo.BAD_MESSAGE_CHECK, "Intune does not know the device's key"),
    IntuneCode.SIGNING_CERT_THUMBPRINT_MISMATCH: (FailInfo.BAD_MESSAGE_CHECK, "Intune does not know the signer"),
    IntuneCode.SCEP_PROFILE_NO_LONGER_TARGETED_TO_THE_CLIENT: (
        FailInfo.BAD_REQUEST,
        "Intune's profile is not for this device any more",
    ),
    IntuneCode.SIGNATURE_VALIDATION_FAILED: (FailInfo.BAD_MESSAGE_CHECK, "Intune cannot verify the signature"),
    IntuneCode.BAD_CERTIFICATE_REQUEST_ID_IN_CHALLENGE: _WRONG_CHALLENGE,
    IntuneCode.BAD_DEVICE_ID_IN_CHALLENGE: _WRONG_CHALLENGE,
    IntuneCode.BAD_USER_ID_IN_CHALLENGE: _WRONG_CHALLENGE,
}
"""Each code but Success."""


def refusal_of(refused: RefusedByIntune) -> PKIMessageRefused:
    """What the device is told; Intune's own text stays in the log."""
    # Success is no refusal: whoever raised it so is not believed either.
    fail_info, text = FAIL_INFO.get(refused.code, FAIL_INFO[IntuneCode.UNKNOWN])
    return PKIMessageRefused(fail_info, text, detail=f"Intune says {refused}")
