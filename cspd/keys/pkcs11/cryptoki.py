"""The few PKCS#11 functions that we call by ourselves (PKCS#11 v2.40, OASIS).

python-pkcs11 0.10 calls ``C_Initialize(NULL)``, which promises that only one thread will use the module, and then lets
all threads in; SoftHSM corrupts its memory from that. It can log in only while it opens a session, and loses the
session when the token is logged in already. So initialising, finalising and logging in are done here, through ctypes
(which lets other Python threads run meanwhile); everything else is python-pkcs11's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import pkcs11
from pkcs11 import exceptions

CKR_OK = 0x000
CKR_CANT_LOCK = 0x009
CKR_USER_ALREADY_LOGGED_IN = 0x100
_CKF_OS_LOCKING_OK = 0x002
_CKU_USER = 1
_CKS_RO_USER_FUNCTIONS = 1
_CKS_RW_USER_FUNCTIONS = 3

# Positions in CK_FUNCTION_LIST, fixed by the standard.
_C_INITIALIZE = 0
_C_FINALIZE = 1
_C_GET_SESSION_INFO = 15
_C_LOGIN = 18
_FUNCTIONS = 20

_ERRORS: Mapping[int, type[pkcs11.PKCS11Error]] = {
    0x002: exceptions.HostMemory,
    0x003: exceptions.SlotIDInvalid,
    0x005: exceptions.GeneralError,
    0x006: exceptions.FunctionFailed,
    0x030: exceptions.DeviceError,
    0x031: exceptions.DeviceMemory,
    0x032: exceptions.DeviceRemoved,
    0x050: exceptions.FunctionCancelled,
    0x054: exceptions.FunctionNotSupported,
    0x0A0: exceptions.PinIncorrect,
    0x0A1: exceptions.PinInvalid,
    0x0A2: exceptions.PinLenRange,
    0x0A3: exceptions.PinExpired,
    0x0A4: exceptions.PinLocked,
    0x0B0: exceptions.SessionClosed,
    0x0B3: exceptions.SessionHandleInvalid,
    0x0E0: exceptions.TokenNotPresent,
    0x0E1: exceptions.TokenNotRecognised,
    0x102: exceptions.UserPinNotInitialized,
    0x104: exceptions.AnotherUserAlreadyLoggedIn,
}


class CKInitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS (PKCS#11 v2.40, 3.7)."""

    _fields_ = (
        ("CreateMutex", ctypes.c_void_p),
        ("DestroyMutex", ctypes.c_void_p),
        ("LockMutex", ctypes.c_void_p),
        ("UnlockMutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("pReserved", ctypes.c_void_p),
    )


class CKSessionInfo(ctypes.Structure):
    """CK_SESSION_INFO (PKCS#11 v2.40, 3.3)."""

    _fields_ = (
        ("slotID", ctypes.c_ulong),
        ("state", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("ulDeviceError", ctypes.c_ulong),
    )


class CKFunctionList(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST (PKCS#11 v2.40, 3.6): a version, then pointers in the standard's order."""

    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * _FUNCTIONS))


class Cryptoki:
    """The entry points of one module."""

    def __init__(self, function_list: CKFunctionList) -> None:
        pointers = function_list.functions
        code, pointer, number = ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong
        self._function_list = function_list  # keeps what it points to
        self._initialize = ctypes.CFUNCTYPE(code, pointer)(pointers[_C_INITIALIZE])
        self._finalize = ctypes.CFUNCTYPE(code, pointer)(pointers[_C_FINALIZE])
        self._get_session_info = ctypes.CFUNCTYPE(code, number, pointer)(pointers[_C_GET_SESSION_INFO])
        self._login = ctypes.CFUNCTYPE(code, number, number, ctypes.c_char_p, number)(pointers[_C_LOGIN])

    @classmethod
    def of(cls, path: str) -> Cryptoki:
        """Those of a file; if it is loaded already, the dynamic loader gives the same copy. Raises PKCS11Error."""
        functions = ctypes.POINTER(CKFunctionList)()
        get_function_list = ctypes.CDLL(path).C_GetFunctionList
        get_function_list.restype = ctypes.c_ulong
        _check(get_function_list(ctypes.byref(functions)))
        return cls(functions.contents)

    def initialize(self) -> bool:
        """Initialise; give whether several threads may call the module at the same time. Raises PKCS11Error."""
        code = self._initialize(ctypes.byref(CKInitializeArgs(flags=_CKF_OS_LOCKING_OK)))
        if code == CKR_CANT_LOCK:
            _check(self._initialize(None))
            return False
        _check(code)
        return True

    def finalize(self) -> None:
        """End all sessions and logins of this process. Raises PKCS11Error."""
        _check(self._finalize(None))

    def is_logged_in(self, session: int) -> bool:
        """Whether the user is logged in on the token of a session (a handle). Raises PKCS11Error."""
        information = CKSessionInfo()
        _check(self._get_session_info(session, ctypes.byref(information)))
        return information.state in (_CKS_RO_USER_FUNCTIONS, _CKS_RW_USER_FUNCTIONS)

    def login(self, session: int, pin: bytes) -> None:
        """Log the user in on the token of a session (a handle); no error if it is. Raises PKCS11Error."""
        code = self._login(session, _CKU_USER, pin, len(pin))
        if code != CKR_USER_ALREADY_LOGGED_IN:
            _check(code)


def _check(code: int) -> None:
    if code != CKR_OK:
        raise _ERRORS.get(code, pkcs11.PKCS11Error)(f"return code {code:#x}")


__all__ = ["Cryptoki"]
