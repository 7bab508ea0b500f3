"""Initialising and logging in, against a function list made of Python functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pkcs11
import pytest

from cspd.keys.pkcs11.cryptoki import CKFunctionList, CKInitializeArgs, CKSessionInfo, Cryptoki

POINTER_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)
INFO_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p)
LOGIN_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong)


class FakeModule:
    """Answers with given return codes and remembers what it was asked. Keep it: its functions end with it."""

    def __init__(self, *, initialize: Callable[[int | None], int] = lambda flags: 0, login: int = 0, state: int = 0):
        self.calls: list[Any] = []
        self._initialize, self._login_code, self._state = initialize, login, state
        self._functions = {
            0: POINTER_FUNCTION(self.initialize),
            1: POINTER_FUNCTION(self.finalize),
            15: INFO_FUNCTION(self.get_session_info),
            18: LOGIN_FUNCTION(self.login),
        }
        self.function_list = CKFunctionList()
        for position, function in self._functions.items():
            self.function_list.functions[position] = ctypes.cast(function, ctypes.c_void_p).value

    def initialize(self, arguments: int | None) -> int:
        flags = None if arguments is None else CKInitializeArgs.from_address(arguments).flags
        self.calls.append(("initialize", flags))
        return self._initialize(flags)

    def finalize(self, reserved: int | None) -> int:
        self.calls.append(("finalize", reserved))
        return 0

    def get_session_info(self, session: int, information: int) -> int:
        CKSessionInfo.from_address(information).state = self._state
        return 0 if session == 7 else 0xB3

    def login(self, session: int, user: int, pin: bytes, length: int) -> int:
        self.calls.append(("login", session, user, pin, length))
        return self._login_code


def test_a_module_is_initialised_with_the_systems_locks() -> None:
    module = FakeModule()
    assert Cryptoki(module.function_list).initialize() is True
    assert module.calls == [("initialize", 2)]  # CKF_OS_LOCKING_OK


def test_a_module_that_cannot_lock_is_for_one_thread_at_a_time() -> None:
    """CKR_CANT_LOCK: initialised once more, without locks."""
    module = FakeModule(initialize=lambda flags: 0x9 if flags else 0)
    assert Cryptoki(module.function_list).initialize() is False
    assert module.calls == [("initialize", 2), ("initialize", None)]


def test_an_error_of_the_module_is_raised_by_its_class() -> None:
    module = FakeModule(initialize=lambda flags: 5)
    with pytest.raises(pkcs11.GeneralError, match="0x5"):
        Cryptoki(module.function_list).initialize()


def test_a_vendors_own_return_code_is_told_by_its_number() -> None:
    module = FakeModule(login=0x80001234)
    with pytest.raises(pkcs11.PKCS11Error, match="0x80001234"):
        Cryptoki(module.function_list).login(7, b"1234")


def test_login_gives_the_pin_to_the_user() -> None:
    module = FakeModule()
    Cryptoki(module.function_list).login(7, b"1234")
    assert module.calls == [("login", 7, 1, b"1234", 4)]


def test_being_logged_in_already_is_no_error() -> None:
    module = FakeModule(login=0x100)
    Cryptoki(module.function_list).login(7, b"1234")


@pytest.mark.parametrize(("state", "expected"), [(0, False), (1, True), (2, False), (3, True), (4, False)])
def test_login_state_is_read_from_the_session(state: int, expected: bool) -> None:
    """CK_STATE: public, user or security officer; read-only or read-write."""
    module = FakeModule(state=state)
    assert Cryptoki(module.function_list).is_logged_in(7) is expected


def test_a_session_that_is_gone_is_told() -> None:
    module = FakeModule()
    with pytest.raises(pkcs11.SessionHandleInvalid):
        Cryptoki(module.function_list).is_logged_in(8)
