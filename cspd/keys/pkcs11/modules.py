"""Vendors' PKCS#11 libraries: loaded once in a process, used by all their tokens."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Condition, Lock
from typing import Any

import pkcs11

from cspd.keys.pkcs11.cryptoki import Cryptoki


class Module:
    """A loaded library, initialised so that several threads may call it.

    Some libraries must be finalised and initialised again before they see a token that was away (SoftHSM when its
    folder was moved, nShield after a restart of its hardserver, Luna after a lost network). That ends the sessions of
    all tokens of the module, so no thread may be inside meanwhile: :meth:`inside` and :meth:`reinitialize` see to that.
    Where the library cannot lock (CKR_CANT_LOCK), one thread at a time is let in.
    """

    def __init__(self, library: Any, cryptoki: Cryptoki) -> None:
        """Initialise a loaded module, ``library`` being python-pkcs11's view of it; raises PKCS11Error."""
        self.epoch = 0
        """Grows with each initialisation; sessions and handles of an earlier epoch must not be used, nor closed."""
        self._turn = Condition(Lock())
        self._inside: deque[None] = deque()
        """One entry for each thread that is inside; a deque, for its append and pop need no lock."""
        self._closed = False
        self._is_free = False
        """Whether whoever comes may go in: initialised, not closed, and thread-safe."""
        self._library = library
        self._cryptoki = cryptoki
        self._initialized = False
        self.is_thread_safe = False
        self._initialize()
        self._is_free = self.is_thread_safe

    @classmethod
    def load(cls, path: str) -> Module:
        """The module of a file; blocks; raises PKCS11Error. Not twice for one file: :class:`Modules` sees to that."""
        library = pkcs11.lib(path)
        library.finalize()  # python-pkcs11 initialised it for one thread
        return cls(library, Cryptoki.of(path))

    @contextmanager
    def inside(self) -> Iterator[int]:
        """A call, or a few, into the module: gives the epoch, which does not change meanwhile.

        Raises TokenNotPresent while the module cannot be initialised.
        """
        epoch = self.enter()
        try:
            yield epoch
        finally:
            self.leave()

    def enter(self) -> int:
        """The beginning of :meth:`inside`, for those who count microseconds."""
        # No lock, for it would be contended by all signing threads: we first say that we are in and then look whether
        # we may, reinitialize() first closes and then looks who is in; so one of both sees the other.
        self._inside.append(None)
        if not self._is_free:
            self._enter_in_turn()
        return self.epoch

    def leave(self) -> None:
        """The end of :meth:`inside`."""
        self._inside.pop()
        if not self._is_free:
            with self._turn:
                self._turn.notify_all()

    def _enter_in_turn(self) -> None:
        with self._turn:
            self._inside.pop()
            self._turn.notify_all()
            while self._closed or (self._inside and not self.is_thread_safe):
                self._turn.wait()
            if not self._initialized:
                raise pkcs11.TokenNotPresent("the module is not initialised")
            self._inside.append(None)

    def reinitialize(self, epoch: int) -> None:
        """Finalise and initialise, unless somebody did since ``epoch``; raises PKCS11Error. Not from :meth:`inside`."""
        with self._turn:
            while self._closed:
                self._turn.wait()
            if self.epoch != epoch and self._initialized:
                return
            self._closed = True
            self._is_free = False
            while self._inside:
                self._turn.wait()
        try:
            if self._initialized:
                self._initialized = False
                self.epoch += 1
                self._cryptoki.finalize()
            self._initialize()
        finally:
            with self._turn:
                self._closed = False
                self._is_free = self._initialized and self.is_thread_safe
                self._turn.notify_all()

    def tokens(self) -> list[tuple[Any, Any]]:
        """Each slot with a token that answers (``pkcs11.Slot``, ``pkcs11.Token``); call :meth:`inside`."""
        found = []
        for slot in self._library.get_slots(token_present=True):
            with suppress(pkcs11.PKCS11Error):
                found.append((slot, slot.get_token()))
        return found

    def find_token(self, label: str) -> Any:
        """The ``pkcs11.Token`` with this label, its flags as of now; call :meth:`inside`.

        Raises NoSuchToken, MultipleTokensReturned, or the PKCS11Error of a slot that could not be asked.
        """
        found = []
        error: pkcs11.PKCS11Error | None = None
        for slot in self._library.get_slots(token_present=True):
            try:
                token = slot.get_token()
            except pkcs11.PKCS11Error as problem:
                error = problem
                continue
            if token.label == label:
                found.append(token)
        if len(found) > 1:
            raise pkcs11.MultipleTokensReturned(f"{len(found)} tokens have the label {label!r}")
        if not found:
            raise error or pkcs11.NoSuchToken(f"no token has the label {label!r}")
        return found[0]

    def is_logged_in(self, session: Any) -> bool:
        """Whether the token of this ``pkcs11.Session`` has our login; call :meth:`inside`.

        Raises PKCS11Error for a session that is gone.
        """
        return self._cryptoki.is_logged_in(session.handle)

    def login(self, session: Any, pin: bytes) -> None:
        """Log in on the token of this ``pkcs11.Session``; call :meth:`inside`. Raises PKCS11Error."""
        self._cryptoki.login(session.handle, pin)

    def _initialize(self) -> None:
        self.is_thread_safe = self._cryptoki.initialize()
        self._initialized = True
        self.epoch += 1


class Modules:
    """All modules of this process.

    One process has one: C_Initialize and what it keeps are per process, and python-pkcs11 keeps its library objects
    per path. Two key services (before and after a reload) share it.
    """

    def __init__(self, load: Callable[[str], Module] = Module.load) -> None:
        self._load = load
        self._loaded: dict[str, Module] = {}
        self._lock = Lock()

    def get(self, path: str, environment: Mapping[str, str]) -> Module:
        """The module of a file, loaded if need be with ``environment`` set; blocks. Raises PKCS11Error."""
        with self._lock:
            real_path = os.path.realpath(path)
            module = self._loaded.get(real_path)
            if module is None:
                os.environ.update(environment)
                module = self._loaded[real_path] = self._load(path)
            return module


__all__ = ["Module", "Modules"]
