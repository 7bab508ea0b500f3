"""What PKCS#11 return codes mean for us: try again on a new session, or refuse, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pkcs11
from pkcs11 import exceptions

from cspd.refusals import NotFound, Refused, Rejected, Unavailable


class KeyVanished(exceptions.PKCS11Error):
    """A key that this process has seen on the token is not there: it was deleted, or the token is away."""

    def __init__(self, identifier: bytes) -> None:
        super().__init__(identifier.hex())
        self.identifier = identifier


UNTOUCHED: tuple[type[exceptions.PKCS11Error], ...] = (
    exceptions.SessionHandleInvalid,
    exceptions.UserNotLoggedIn,
    exceptions.TokenNotPresent,
    exceptions.TokenNotRecognised,
    exceptions.SlotIDInvalid,
    exceptions.NoSuchToken,
)
"""The session or the token is gone, and the token has not begun to do what it was asked."""

LOST: tuple[type[exceptions.PKCS11Error], ...] = (
    *UNTOUCHED,
    KeyVanished,
    exceptions.DeviceError,
    exceptions.DeviceRemoved,
    exceptions.FunctionFailed,
    exceptions.GeneralError,
    exceptions.KeyHandleInvalid,
    exceptions.ObjectHandleInvalid,
    exceptions.OperationActive,
    exceptions.OperationNotInitialized,
    exceptions.SessionClosed,
)
"""Something broke that a new session may mend; the token may have done part of its work."""

PIN_REFUSED: tuple[type[exceptions.PKCS11Error], ...] = (
    exceptions.PinExpired,
    exceptions.PinIncorrect,
    exceptions.PinInvalid,
    exceptions.PinLenRange,
    exceptions.PinLocked,
    exceptions.UserPinNotInitialized,
)
"""The same PIN must not be tried again: tokens lock after a few wrong ones."""

PERHAPS_PADDING: tuple[type[exceptions.PKCS11Error], ...] = (
    exceptions.EncryptedDataInvalid,
    exceptions.EncryptedDataLenRange,
    exceptions.DataInvalid,
    exceptions.DataLenRange,
    exceptions.DeviceError,
    exceptions.FunctionFailed,
    exceptions.GeneralError,
)
"""What tokens say of a padding that does not fit; the last three also of themselves."""

_REASONS: Mapping[type[exceptions.PKCS11Error], tuple[str, str]] = {
    exceptions.PinIncorrect: ("hsm-pin-incorrect", "refuses the PIN"),
    exceptions.PinInvalid: ("hsm-pin-incorrect", "refuses the PIN: it has characters that no PIN there has"),
    exceptions.PinLenRange: ("hsm-pin-incorrect", "refuses the PIN: it is too short or too long"),
    exceptions.PinExpired: ("hsm-pin-expired", "wants the PIN changed"),
    exceptions.PinLocked: ("hsm-pin-locked", "has locked the PIN; its security officer must unlock it"),
    exceptions.UserPinNotInitialized: ("hsm-not-initialized", "has no user PIN yet"),
    exceptions.AnotherUserAlreadyLoggedIn: ("hsm-login", "has its security officer logged in"),
    exceptions.UserTooManyTypes: ("hsm-login", "has too many users logged in"),
    exceptions.NoSuchToken: ("hsm-no-such-token", "is not there"),
    exceptions.TokenNotPresent: ("hsm-no-such-token", "is not there"),
    exceptions.DeviceRemoved: ("hsm-no-such-token", "was removed"),
    exceptions.TokenNotRecognised: ("hsm-not-initialized", "is not recognised; is it initialised?"),
    exceptions.MultipleTokensReturned: ("hsm-ambiguous", "has the same label as another token"),
    exceptions.MultipleObjectsReturned: ("hsm-ambiguous", "has several keys with the same CKA_ID"),
    exceptions.SessionCount: ("hsm-sessions", "gives no session; others use them all"),
    exceptions.DeviceMemory: ("hsm-full", "has no room left"),
    exceptions.TokenWriteProtected: ("hsm-read-only", "is write-protected"),
    exceptions.SessionReadOnly: ("hsm-read-only", "is write-protected"),
    exceptions.HostMemory: ("hsm-host-memory", "has a module that got no memory"),
}

_CANNOT: tuple[type[exceptions.PKCS11Error], ...] = (
    exceptions.AttributeTypeInvalid,
    exceptions.AttributeValueInvalid,
    exceptions.DomainParamsInvalid,
    exceptions.FunctionNotSupported,
    exceptions.KeySizeRange,
    exceptions.KeyTypeInconsistent,
    exceptions.MechanismInvalid,
    exceptions.MechanismParamInvalid,
    exceptions.TemplateInconsistent,
)
"""The token does not do this kind of key or signature, however often it is asked."""


def refusal(error: pkcs11.PKCS11Error, token: str) -> Refused:
    """The refusal for an error of the token called ``token``; raise it ``from`` the error."""
    detail = f"token {token}: {type(error).__name__} {error}".rstrip()
    if isinstance(error, KeyVanished):
        return NotFound("no such key on the token", code="no-such-key", detail=detail)
    if isinstance(error, _CANNOT):
        return Rejected(f"token {token} cannot do this", code="hsm-cannot", detail=detail)
    code, reason = _REASONS.get(type(error), ("hsm-failed", "failed"))
    return Unavailable(f"token {token} {reason}", code=code, detail=detail, retry_after=timedelta(seconds=30))


__all__ = ["LOST", "PERHAPS_PADDING", "PIN_REFUSED", "UNTOUCHED", "KeyVanished", "refusal"]
