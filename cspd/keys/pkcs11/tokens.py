"""One token: its sessions, its login, and how it comes back after a loss.

All of it runs in the token's signing threads. A session serves one thread at a time; there are at most as many as
configured, or as the token gives. What a call meets on a token that was away::

    attempt -> lost -> open new sessions, log in     -> attempt -> lost -> initialise the module again -> attempt

and if that does not help, calls are refused without touching the token until a second has passed. A module that must be
initialised for each attempt is left alone for longer and longer, up to half a minute, since that ends the sessions of
its other tokens too (those come back by the first step).

A PIN that was refused is not tried again; a corrected secret is, without a restart. Nor do we use up the last try
before the token locks.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Condition, Lock
from typing import Any, TypeVar

import pkcs11
from cryptography.exceptions import UnsupportedAlgorithm
from pkcs11 import MechanismFlag, ObjectClass, TokenFlag
from pkcs11.types import DecryptMixin
from twisted.logger import Logger

from cspd.keys.pkcs11 import objects
from cspd.keys.pkcs11.decryption import Decrypted, DecryptionRequest
from cspd.keys.pkcs11.modules import Module, Modules
from cspd.keys.pkcs11.refusals import LOST, PERHAPS_PADDING, PIN_REFUSED, KeyVanished, refusal
from cspd.keys.pkcs11.signatures import SignatureRequest
from cspd.refusals import NotFound, Refused, Unavailable

T = TypeVar("T")

_PAUSE = 1.0
"""Seconds for which a lost token is not touched."""
_LONGEST_PAUSE = 30.0
"""The most seconds between two initialisations of a module for a token that stays away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """Where a token is and how to log in."""

    name: str
    module: str
    label: str
    pin: Callable[[], bytes]
    """Reads the PIN; raises ValueError, saying why, if it cannot."""
    sessions: int
    environment: Mapping[str, str]


class TokenSession:
    """An open, logged-in session and the key objects that were found in it. For one thread at a time."""

    def __init__(
        self, raw: Any, module: Module, *, epoch: int, generation: int, mechanisms: frozenset[Any], seen: set[bytes]
    ) -> None:
        self.raw = raw
        """The ``pkcs11.Session``."""
        self.epoch = epoch
        self.generation = generation
        self.mechanisms = mechanisms
        self._module = module
        self._seen = seen
        self._private_keys: dict[bytes, Any] = {}
        self._bare_decryption: bool | None = None

    def sign(self, identifier: bytes, request: SignatureRequest) -> bytes:
        """Sign on the token; raises PKCS11Error, or NotFound."""
        key = self._private_key(identifier)
        signature = key.sign(request.data, mechanism=request.mechanism, mechanism_param=request.parameter)
        return bytes(signature)

    def decrypt(self, identifier: bytes, request: DecryptionRequest) -> Decrypted:
        """Decrypt on the token; raises PKCS11Error, NotFound, or UnsupportedAlgorithm for what key or token cannot.

        Somebody who sends what does not decrypt must neither learn why nor have us take the token for lost.
        """
        key = self._private_key(identifier)
        if not isinstance(key, DecryptMixin):
            raise UnsupportedAlgorithm("the key was made for signatures only")
        if self._has_bare_decryption():
            return Decrypted(_octets(key.decrypt(request.data, mechanism=pkcs11.Mechanism.RSA_X_509)), is_padded=True)
        octets: bytes | None
        try:
            octets = _octets(key.decrypt(request.data, mechanism=request.mechanism, mechanism_param=request.parameter))
        except PERHAPS_PADDING:
            octets = None
        except (pkcs11.ArgumentsBad, pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid) as error:
            raise UnsupportedAlgorithm(f"the token does not decrypt with {request.mechanism.name} so") from error
        self.require_login()  # whether it fitted or not, so that it takes as long; tells whether the session is lost
        return Decrypted(octets, is_padded=False)

    def _private_key(self, identifier: bytes) -> Any:
        key = self._private_keys.get(identifier)
        if key is None:
            key = self._private_keys[identifier] = self.find_key(ObjectClass.PRIVATE_KEY, identifier)
        return key

    def _has_bare_decryption(self) -> bool:
        if self._bare_decryption is None:
            self._bare_decryption = pkcs11.Mechanism.RSA_X_509 in self.mechanisms and bool(
                self.raw.token.slot.get_mechanism_info(pkcs11.Mechanism.RSA_X_509).flags & MechanismFlag.DECRYPT
            )
        return self._bare_decryption

    def find_key(self, kind: ObjectClass, identifier: bytes) -> Any:
        """The one key object with this CKA_ID; raises KeyVanished if there was one, or NotFound, or PKCS11Error."""
        self.require_login()
        found = objects.find(self.raw, kind, identifier)
        if len(found) > 1:
            raise pkcs11.MultipleObjectsReturned(f"{len(found)} keys have CKA_ID {identifier.hex()}")
        if not found:
            if identifier in self._seen:
                raise KeyVanished(identifier)
            raise NotFound("no such key on the token", code="no-such-key", detail=identifier.hex())
        self._seen.add(identifier)
        return found[0]

    def tokens(self) -> list[tuple[Any, Any]]:
        """All slots of the module and their tokens (``pkcs11.Slot``, ``pkcs11.Token``); raises PKCS11Error."""
        return self._module.tokens()

    def require_login(self) -> None:
        """Raise UserNotLoggedIn, or what tells that the session is gone: without a login, searches find nothing."""
        if not self._module.is_logged_in(self.raw):
            raise pkcs11.UserNotLoggedIn("somebody logged out")

    def require_keys(self) -> None:
        """Raise as :meth:`require_login`, and KeyVanished if none of the keys that were used is there any more.

        A module may keep a session whose token is gone. One key may have been destroyed by another node, all not.
        """
        self.require_login()
        seen = tuple(self._seen)
        if seen and not any(objects.find(self.raw, ObjectClass.PRIVATE_KEY, identifier) for identifier in seen):
            raise KeyVanished(seen[0])

    def close(self) -> None:
        """Close; a session that is gone is no error."""
        with suppress(pkcs11.PKCS11Error):
            self.raw.close()


class Token:
    """Runs works on sessions of one token; from any thread but the reactor's, for it blocks."""

    _log = Logger()

    def __init__(self, settings: TokenSettings, modules: Modules, *, monotonic: Callable[[], float]) -> None:
        self.settings = settings
        self.name = settings.name
        self.problem: Refused | None = Unavailable(f"token {settings.name} was not asked yet", code="hsm-unknown")
        """Why the last work failed, if the token was the reason."""
        self._modules = modules
        self._module: Module | None = None
        self._monotonic = monotonic
        self._generation = 0
        self._idle: deque[TokenSession] = deque()
        """Taken and given back without a lock, which all signing threads would contend for."""
        self._open = 0
        self._waiting = 0
        self._limit = settings.sessions
        self._changed = Condition(Lock())
        self._login_lock = Lock()
        self._refused_pin: bytes | None = None
        self._seen: set[bytes] = set()
        self._untouched_until = 0.0
        self._initialize_after = 0.0
        self._pause = _PAUSE

    def run(self, work: Callable[[TokenSession], T], *, repeat_after: tuple[type[Exception], ...] = LOST) -> T:
        """Run ``work`` with a session, again if it raises one of ``repeat_after`` (see the module's text).

        ``work`` only calls the token: it holds up a new initialisation of the module. Raises the refusals that
        :func:`cspd.keys.pkcs11.refusals.refusal` makes of PKCS11Errors.
        """
        if self.problem is not None and self._monotonic() < self._untouched_until:
            last = self.problem
            raise Unavailable(last.reason, code=last.refusal_code, detail=last.detail)
        remedies = iter((self._renew_sessions, self._renew_module))
        while True:
            generation, epoch = self._generation, self._module.epoch if self._module else 0
            try:
                result = self._attempt(work)
            except pkcs11.PKCS11Error as error:
                # Without its traceback, so that what python-pkcs11 keeps there ends in this thread, not in another.
                problem = error.with_traceback(None)
            else:
                self._came_back()
                return result
            if not _is_one_of(problem, LOST):
                break
            remedy = next(remedies, None)
            if remedy is None:
                break
            try:
                remedy(generation, epoch)
            except pkcs11.PKCS11Error as error:
                problem = error.with_traceback(None)
                break
            if not _is_one_of(problem, repeat_after):
                break
        if isinstance(problem, KeyVanished):
            self._seen.discard(problem.identifier)
        refused = refusal(problem, self.name)
        if isinstance(refused, Unavailable):
            self._went_away(refused)
        raise refused from problem

    def close(self) -> None:
        """Close the sessions, those in use when their work ends; the last one to close ends the login."""
        with self._changed:
            self._generation += 1
        self._discard_idle()

    def expect(self, identifier: bytes) -> None:
        """A key was made or found: if it is missing later, the token is suspect."""
        self._seen.add(identifier)

    def forget(self, identifier: bytes) -> None:
        """A key was deleted on purpose."""
        self._seen.discard(identifier)

    def _attempt(self, work: Callable[[TokenSession], T]) -> T:
        session = self._borrow()
        module = self._loaded_module()
        try:
            epoch = module.enter()
            try:
                if session.epoch != epoch:
                    raise pkcs11.SessionHandleInvalid("the module was initialised again")
                result = work(session)
            finally:
                module.leave()
        except pkcs11.PKCS11Error:
            self._discard(session)  # it may have an operation begun
            raise
        except BaseException:
            self._give_back(session)
            raise
        self._give_back(session)
        return result

    def _borrow(self) -> TokenSession:
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                opened = self._open_counted() if self._may_open() else None
                if opened is None:
                    continue
                return opened
            if session.generation == self._generation and session.epoch == self._loaded_module().epoch:
                return session
            self._discard(session)

    def _may_open(self) -> bool:
        """Count a session that the caller will open, or wait until one is idle."""
        with self._changed:
            self._waiting += 1  # before looking: who gives back first appends and then looks for us
            try:
                while not self._idle:
                    if self._open < self._limit:
                        self._open += 1
                        return True
                    self._changed.wait()
                return False
            finally:
                self._waiting -= 1

    def _open_counted(self) -> TokenSession | None:
        """A new session; None if the token gives no more than there are."""
        try:
            return self._open_session()
        except BaseException as error:
            with self._changed:
                self._open -= 1
                self._changed.notify()
                if not isinstance(error, pkcs11.SessionCount) or not self._open:
                    raise
                self._limit = self._open
        self._log.warn(
            "keys: token {name} gives {limit} sessions, {sessions} are configured",
            name=self.name,
            limit=self._limit,
            sessions=self.settings.sessions,
        )
        return None

    def _give_back(self, session: TokenSession) -> None:
        if session.generation != self._generation:
            self._discard(session)
            return
        self._idle.append(session)
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def _discard(self, session: TokenSession) -> None:
        # A handle of an earlier epoch may be somebody else's by now.
        with suppress(pkcs11.PKCS11Error), self._loaded_module().inside() as epoch:
            if session.epoch == epoch:
                session.close()
        with self._changed:
            self._open -= 1
            self._changed.notify()

    def _open_session(self) -> TokenSession:
        module = self._loaded_module()
        with module.inside() as epoch:
            generation = self._generation
            token = module.find_token(self.settings.label)
            try:
                raw = token.open(rw=True)
            except pkcs11.TokenWriteProtected:
                raw = token.open(rw=False)
            try:
                self._login(module, token, raw)
                mechanisms = frozenset(token.slot.get_mechanisms())
            except BaseException:
                with suppress(pkcs11.PKCS11Error):
                    raw.close()
                raise
        return TokenSession(raw, module, epoch=epoch, generation=generation, mechanisms=mechanisms, seen=self._seen)

    def _login(self, module: Module, token: Any, raw: Any) -> None:
        with self._login_lock:
            if module.is_logged_in(raw):
                return
            try:
                pin = self.settings.pin()
            except ValueError as error:
                raise Unavailable(
                    f"the PIN of token {self.name} cannot be read", code="hsm-no-pin", detail=str(error)
                ) from error
            if self._refused_pin is not None and hmac.compare_digest(pin, self._refused_pin):
                raise pkcs11.PinIncorrect("it was refused before, and is not tried again until it changes")
            if token.flags & TokenFlag.USER_PIN_LOCKED:
                raise pkcs11.PinLocked
            if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
                raise pkcs11.PinIncorrect("one try is left before it locks; log in once with the vendor's tools")
            try:
                module.login(raw, pin)
            except PIN_REFUSED:
                self._refused_pin = pin
                raise
            self._refused_pin = None

    def _loaded_module(self) -> Module:
        if self._module is None:
            self._module = self._modules.get(self.settings.module, self.settings.environment)
        return self._module

    def _renew_sessions(self, generation: int, epoch: int) -> None:
        with self._changed:
            if self._generation != generation:
                return  # another thread did
            self._generation += 1
        self._discard_idle()

    def _discard_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._discard(self._idle.pop())

    def _renew_module(self, generation: int, epoch: int) -> None:
        module = self._loaded_module()
        if module.epoch == epoch:
            now = self._monotonic()
            if now < self._initialize_after:
                raise pkcs11.TokenNotPresent("it stays away")
            self._initialize_after = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._log.warn("keys: initialising the module of token {name} again", name=self.name)
            module.reinitialize(epoch)

    def _went_away(self, refused: Refused) -> None:
        self._untouched_until = self._monotonic() + _PAUSE
        previous, self.problem = self.problem, refused
        if previous is None or previous.refusal_code != refused.refusal_code:
            self._log.error(
                "keys: {reason} ({detail}); asking again every {pause}",
                reason=refused.reason,
                detail=refused.detail,
                pause=timedelta(seconds=_PAUSE),
            )

    def _came_back(self) -> None:
        if self.problem is not None:
            self.problem = None
            self._pause = _PAUSE
            self._log.info("keys: token {name} signs", name=self.name)


def _octets(plain: bytes | Iterator[bytes]) -> bytes:
    assert isinstance(plain, bytes)  # as what was decrypted
    return plain


def _is_one_of(error: pkcs11.PKCS11Error, classes: tuple[type[Exception], ...]) -> bool:
    """A return code that python-pkcs11 does not know (a vendor's own) counts as a loss where losses are mended."""
    return isinstance(error, classes) or (type(error) is pkcs11.PKCS11Error and KeyVanished in classes)


__all__ = ["Token", "TokenSession", "TokenSettings"]
