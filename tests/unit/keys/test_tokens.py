"""A token that is lost, comes back, refuses its PIN, or gives fewer sessions; against a module made of Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pkcs11
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from pkcs11 import Mechanism, MechanismFlag, TokenFlag
from pkcs11.types import DecryptMixin

from cspd.keys.pkcs11.decryption import Decrypted, DecryptionRequest
from cspd.keys.pkcs11.modules import Module, Modules
from cspd.keys.pkcs11.refusals import PERHAPS_PADDING, UNTOUCHED
from cspd.keys.pkcs11.tokens import Token, TokenSession, TokenSettings
from cspd.refusals import NotFound, Rejected, Unavailable


class FakeToken:
    """Both halves of a module's interface: python-pkcs11's objects, and the functions that we call by ourselves."""

    label = "label"

    def __init__(self) -> None:
        self.flags = TokenFlag(0)
        self.slot = self
        self.handle = 0
        self.sessions: set[int] = set()
        self.most_sessions = 100
        self.logged_in = False
        self.pins: list[bytes] = []
        self.initialized = 0
        self.present = True
        self.write_protected = False
        self.mechanisms: set[Any] = {1}
        self.mechanism_flags = MechanismFlag.DECRYPT | MechanismFlag.SIGN
        self.needs_initialization = False
        self.objects: list[Any] = ["the key"]
        self.identifiers: set[bytes] | None = None
        """CKA_IDs that find the objects; None: all do."""

    # The library and the slot.
    def get_slots(self, token_present: bool) -> Sequence[FakeToken]:
        return [self] if self.present else []

    def get_token(self) -> FakeToken:
        return self

    def get_mechanisms(self) -> set[Any]:
        return self.mechanisms

    def get_mechanism_info(self, mechanism: Mechanism) -> SimpleNamespace:
        return SimpleNamespace(flags=self.mechanism_flags)

    def open(self, rw: bool) -> FakeSession:
        if rw and self.write_protected:
            raise pkcs11.TokenWriteProtected
        if len(self.sessions) >= self.most_sessions:
            raise pkcs11.SessionCount
        self.handle += 1
        self.sessions.add(self.handle)
        return FakeSession(self, self.handle, rw)

    # The functions of cspd.keys.pkcs11.cryptoki.
    def initialize(self) -> bool:
        self.initialized += 1
        self.needs_initialization = False
        return True

    def finalize(self) -> None:
        self.lose_sessions()

    def is_logged_in(self, session: int) -> bool:
        if session not in self.sessions:
            raise pkcs11.SessionHandleInvalid
        return self.logged_in

    def login(self, session: int, pin: bytes) -> None:
        self.pins.append(pin)
        if pin != b"right":
            raise pkcs11.PinIncorrect
        self.logged_in = True

    # What tests do.
    def lose_sessions(self) -> None:
        self.sessions.clear()
        self.logged_in = False


class FakeSession:
    def __init__(self, token: FakeToken, handle: int, rw: bool) -> None:
        self.token, self.handle, self.rw = token, handle, rw

    def close(self) -> None:
        self.token.sessions.discard(self.handle)
        if not self.token.sessions:
            self.token.logged_in = False

    def get_objects(self, template: Mapping[Any, Any]) -> Sequence[Any]:
        if self.token.identifiers is not None and template.get(pkcs11.Attribute.ID) not in self.token.identifiers:
            return []
        return list(self.token.objects)


class Bench:
    """A token under test, with a clock that the test moves."""

    def __init__(self, *, sessions: int = 2) -> None:
        self.fake = FakeToken()
        self.pin: Callable[[], bytes] = lambda: b"right"
        self.seconds = 100.0
        modules = Modules(load=lambda path: Module(self.fake, self.fake))  # type: ignore[arg-type]  # a fake
        settings = TokenSettings(
            name="hsm",
            module="/module.so",
            label="label",
            pin=lambda: self.pin(),
            sessions=sessions,
            environment={},
        )
        self.token = Token(settings, modules, monotonic=lambda: self.seconds)
        self.works: list[int] = []

    def sign(self, session: TokenSession) -> str:
        """Works only in a session that is open, on a token that needs no initialisation."""
        self.works.append(session.raw.handle)
        session.require_login()
        if self.fake.needs_initialization or not self.fake.present:
            raise pkcs11.DeviceError
        return "signature"

    def refused(self, **arguments: Any) -> Unavailable:
        with pytest.raises(Unavailable) as refusal:
            self.token.run(self.sign, **arguments)
        return refusal.value


def test_a_session_is_opened_once_and_used_again() -> None:
    bench = Bench()
    assert [bench.token.run(bench.sign) for _ in range(3)] == ["signature"] * 3
    assert bench.works == [1, 1, 1]
    assert bench.fake.pins == [b"right"]
    assert bench.token.problem is None


def test_a_lost_session_is_opened_again_and_the_work_repeated() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.lose_sessions()
    assert bench.token.run(bench.sign) == "signature"
    assert bench.works == [1, 1, 2]
    assert bench.fake.pins == [b"right", b"right"]
    assert bench.fake.initialized == 1


def test_a_logout_by_somebody_else_is_mended() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.logged_in = False
    assert bench.token.run(bench.sign) == "signature"


def test_a_module_that_needs_it_is_initialised_again() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.needs_initialization = True
    assert bench.token.run(bench.sign) == "signature"
    assert bench.fake.initialized == 2


def test_sessions_of_an_earlier_initialisation_are_not_even_closed() -> None:
    """Their handles may belong to new sessions by now."""
    bench = Bench()
    bench.token.run(bench.sign)
    module = bench.token._loaded_module()
    module.reinitialize(module.epoch)
    bench.fake.handle = 0  # the module counts from the start again
    foreign = bench.fake.open(rw=True)
    assert bench.token.run(bench.sign) == "signature"
    assert foreign.handle in bench.fake.sessions


def test_a_token_that_stays_away_is_left_alone_for_a_second() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.present = False
    assert bench.refused().refusal_code == "hsm-no-such-token"
    works = len(bench.works)
    bench.refused()
    assert len(bench.works) == works
    bench.fake.present = True
    bench.seconds += 1.1
    assert bench.token.run(bench.sign) == "signature"
    assert bench.token.problem is None


def test_initialising_again_happens_less_and_less_often() -> None:
    """It ends the sessions of the other tokens of the module."""
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.present = False
    for _ in range(600):
        bench.refused()
        bench.seconds += 1.1
    assert 20 < bench.fake.initialized < 35  # 1 + 5 for the first 31 s + one each 30 s of 660


def test_a_refused_pin_is_not_tried_again() -> None:
    bench = Bench()
    bench.pin = lambda: b"wrong"
    for _ in range(5):
        assert bench.refused().refusal_code == "hsm-pin-incorrect"
        bench.seconds += 1.1
    assert bench.fake.pins == [b"wrong"]
    assert bench.fake.sessions == set()


def test_a_corrected_pin_is_tried() -> None:
    bench = Bench()
    bench.pin = lambda: b"wrong"
    bench.refused()
    bench.pin = lambda: b"right"
    bench.seconds += 1.1
    assert bench.token.run(bench.sign) == "signature"


@pytest.mark.parametrize(
    ("flag", "code"),
    [(TokenFlag.USER_PIN_LOCKED, "hsm-pin-locked"), (TokenFlag.USER_PIN_FINAL_TRY, "hsm-pin-incorrect")],
)
def test_the_last_try_is_not_ours(flag: TokenFlag, code: str) -> None:
    bench = Bench()
    bench.fake.flags = flag
    assert bench.refused().refusal_code == code
    assert bench.fake.pins == []


def test_a_pin_that_cannot_be_read_is_told() -> None:
    def missing() -> bytes:
        raise ValueError("hsm.pin does not exist")

    bench = Bench()
    bench.pin = missing
    refusal = bench.refused()
    assert (refusal.refusal_code, refusal.detail) == ("hsm-no-pin", "hsm.pin does not exist")


def test_no_pin_is_in_any_text() -> None:
    bench = Bench()
    bench.pin = lambda: b"wrong-secret"
    refusal = bench.refused()
    texts = [repr(refusal), refusal.detail, repr(refusal.__cause__), repr(bench.token), repr(bench.token.settings)]
    assert not any("wrong-secret" in text for text in texts)


def test_fewer_sessions_than_configured_are_enough() -> None:
    """The token gives no second session; the caller waits for the first one, and nobody asks for more again."""
    bench = Bench(sessions=3)
    first = bench.token._borrow()

    def no_more(rw: bool) -> FakeSession:
        bench.token._give_back(first)  # as another thread would, meanwhile
        raise pkcs11.SessionCount

    bench.fake.open = no_more  # type: ignore[method-assign]  # a fake of a fake
    assert bench.token._borrow() is first
    assert bench.token._limit == 1


@pytest.mark.requirement("R-TSA-070")
def test_no_more_sessions_are_opened_than_configured() -> None:
    """Who wants one more waits until one is given back."""
    bench = Bench(sessions=2)
    first, second = bench.token._borrow(), bench.token._borrow()
    waits: list[str] = []

    def wait() -> bool:
        waits.append("waited")
        bench.token._idle.append(first)  # as another thread would, meanwhile
        return True

    bench.token._changed.wait = wait  # type: ignore[assignment, method-assign]  # a test has one thread
    assert bench.token._borrow() is first
    assert waits == ["waited"]
    assert len(bench.fake.sessions) == 2
    assert second is not first


def test_a_token_without_any_session_is_told() -> None:
    bench = Bench()
    bench.fake.most_sessions = 0
    assert bench.refused().refusal_code == "hsm-sessions"


def test_a_write_protected_token_signs() -> None:
    bench = Bench()
    bench.fake.write_protected = True
    assert bench.token.run(bench.sign) == "signature"


def test_a_work_is_not_repeated_after_a_loss_that_may_have_done_half_of_it() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.needs_initialization = True
    assert bench.refused(repeat_after=UNTOUCHED).refusal_code == "hsm-failed"
    assert bench.works == [1, 1]
    bench.seconds += 1.1
    assert bench.token.run(bench.sign) == "signature"


def test_a_work_that_was_never_begun_is_repeated() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.fake.lose_sessions()
    assert bench.token.run(bench.sign, repeat_after=UNTOUCHED) == "signature"


def test_a_mechanism_that_the_token_lacks_is_rejected_and_the_token_stays_healthy() -> None:
    def cannot(session: TokenSession) -> None:
        raise pkcs11.MechanismInvalid

    bench = Bench()
    bench.token.run(bench.sign)
    with pytest.raises(Rejected, match="cannot do this"):
        bench.token.run(cannot)
    assert bench.token.problem is None
    assert bench.token.run(bench.sign) == "signature"


def test_an_unknown_key_is_not_found_and_a_known_one_that_is_missing_makes_us_suspicious() -> None:
    """SoftHSM shows an empty token when its files are gone; only a new initialisation tells."""
    bench = Bench()
    find = lambda session: session.find_key(pkcs11.ObjectClass.PRIVATE_KEY, b"id")  # noqa: E731  # said four times
    bench.fake.objects = []
    with pytest.raises(NotFound):
        bench.token.run(find)
    assert bench.fake.initialized == 1
    bench.fake.objects = ["the key"]
    bench.token.run(find)
    bench.fake.objects = []
    with pytest.raises(NotFound):
        bench.token.run(find)
    assert bench.fake.initialized == 2
    with pytest.raises(NotFound):
        bench.token.run(find)
    assert bench.fake.initialized == 2
    assert bench.token.run(bench.sign) == "signature"  # a missing key is no reason to think that the token is away


def test_a_refusal_while_the_token_is_away_is_a_new_one_each_time() -> None:
    """An exception that is raised again and again keeps all its tracebacks."""
    bench = Bench()
    bench.fake.present = False
    first, second = bench.refused(), bench.refused()
    assert first is not second
    assert (first.reason, first.refusal_code) == (second.reason, second.refusal_code)
    assert bench.refused() is not second


def test_a_check_notices_a_token_whose_session_outlives_it() -> None:
    """SoftHSM goes on with a login although its files are gone."""
    bench = Bench()
    bench.token.run(TokenSession.require_keys)
    bench.fake.objects = []
    bench.token.run(TokenSession.require_keys)  # no key was used yet, so none is missed
    bench.token.expect(b"id")
    bench.fake.present = False
    with pytest.raises(Unavailable):
        bench.token.run(TokenSession.require_keys)
    assert bench.token.problem is not None


def test_a_check_does_not_mind_a_key_that_another_node_destroyed() -> None:
    bench = Bench()
    bench.token.expect(b"gone")
    bench.token.expect(b"id")
    bench.fake.identifiers = {b"id"}
    bench.token.run(TokenSession.require_keys)
    assert bench.token.problem is None
    assert bench.fake.initialized == 1


def test_two_keys_with_one_identifier_are_refused() -> None:
    bench = Bench()
    bench.fake.objects = ["one", "two"]
    with pytest.raises(Unavailable, match="several keys"):
        bench.token.run(lambda session: session.find_key(pkcs11.ObjectClass.PRIVATE_KEY, b"id"))


def test_closing_ends_the_login() -> None:
    bench = Bench()
    bench.token.run(bench.sign)
    bench.token.close()
    assert (bench.fake.sessions, bench.fake.logged_in) == (set(), False)


def test_what_a_work_raises_by_itself_comes_out_and_the_session_stays() -> None:
    bench = Bench()
    with pytest.raises(ZeroDivisionError):
        bench.token.run(lambda session: 1 // 0)
    bench.token.run(bench.sign)
    assert bench.fake.pins == [b"right"]


class FakeKey(DecryptMixin):
    """A private key object; ``outcome`` is what the token answers."""

    def __init__(self, outcome: Callable[[], bytes]) -> None:
        self.outcome = outcome
        self.asked: list[Any] = []

    def decrypt(self, data: Any, buffer_size: int = 8192, **asked: Any) -> bytes:
        self.asked.append(asked.get("mechanism"))
        return self.outcome()


REQUEST = DecryptionRequest(Mechanism.RSA_PKCS, None, b"ciphertext", lambda padded: padded)
IDENTIFIER = bytes(16)


def decrypting(outcome: Callable[[], bytes], *, bare: bool = False) -> tuple[Bench, FakeKey]:
    """A token whose key decrypts to that, with or without the bare operation."""
    bench, key = Bench(), FakeKey(outcome)
    bench.fake.objects = [key]
    bench.fake.mechanisms = {Mechanism.RSA_PKCS, *((Mechanism.RSA_X_509,) if bare else ())}
    return bench, key


def failing(error: type[pkcs11.PKCS11Error]) -> Callable[[], bytes]:
    def outcome() -> bytes:
        raise error

    return outcome


def test_the_bare_operation_is_used_where_there_is_one() -> None:
    bench, key = decrypting(lambda: b"\x02padded", bare=True)
    assert bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST)) == Decrypted(b"\x02padded", True)
    assert key.asked == [Mechanism.RSA_X_509]


def test_one_that_is_for_signatures_only_does_not_count() -> None:
    bench, key = decrypting(lambda: b"plain", bare=True)
    bench.fake.mechanism_flags = MechanismFlag.SIGN | MechanismFlag.VERIFY
    assert bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST)) == Decrypted(b"plain", False)
    assert key.asked == [Mechanism.RSA_PKCS]


@pytest.mark.parametrize("error", PERHAPS_PADDING, ids=lambda error: error.__name__)
def test_a_padding_that_does_not_fit_is_no_loss_of_the_token(error: type[pkcs11.PKCS11Error]) -> None:
    bench, key = decrypting(failing(error))
    for _ in range(3):
        assert bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST)) == Decrypted(None, False)
    assert len(key.asked) == 3
    assert bench.token.problem is None
    assert bench.fake.initialized == 1


def test_a_session_that_was_lost_while_decrypting_is_opened_again() -> None:
    lost: list[bool] = []

    def outcome() -> bytes:
        if not lost:
            lost.append(True)
            bench.fake.lose_sessions()
            raise pkcs11.GeneralError
        return b"plain"

    bench, key = decrypting(outcome)
    assert bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST)) == Decrypted(b"plain", False)
    assert len(key.asked) == 2


@pytest.mark.parametrize(
    "error", [pkcs11.ArgumentsBad, pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid], ids=lambda e: e.__name__
)
def test_what_the_token_does_not_decrypt_with_is_no_loss_either(error: type[pkcs11.PKCS11Error]) -> None:
    bench, _ = decrypting(failing(error))
    with pytest.raises(UnsupportedAlgorithm):
        bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST))
    assert bench.token.run(bench.sign) == "signature"
    assert bench.fake.initialized == 1


def test_a_key_that_only_signs_does_not_decrypt() -> None:
    bench = Bench()
    with pytest.raises(UnsupportedAlgorithm, match="for signatures only"):
        bench.token.run(lambda session: session.decrypt(IDENTIFIER, REQUEST))
    assert bench.token.run(bench.sign) == "signature"
    assert bench.fake.initialized == 1
