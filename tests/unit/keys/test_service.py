"""The key service over software keys: routing, where works run, what the store holds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from sqlalchemy import select, update
from twisted.internet.defer import Deferred

from cspd.keys.encryption import MasterKey, WrongMasterKey
from cspd.keys.generation import key_type_of
from cspd.keys.service import KeyService
from cspd.keys.software import FAST, SoftwareKeys
from cspd.keys.threads import InlinePool, SigningPool
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import NotFound, Unavailable
from cspd.store.tables import software_keys
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.pools import SteppedPool
from tests.support.running import result_of

SECRET = b"0123456789abcdef0123456789abcdef"


def make_service(
    database: InlineDatabase,
    *,
    pool: SigningPool | None = None,
    secret: bytes = SECRET,
    seconds: Callable[[], float] = lambda: 0.0,
    seed: int = 1,
) -> KeyService:
    random_bytes = random.Random(seed).randbytes
    software = SoftwareKeys(
        database=database,
        clock=FrozenClock(),
        pool=pool or InlinePool(),
        master_key=MasterKey(secret, random_bytes),
        random_bytes=random_bytes,
    )
    return KeyService(providers=[software], default="software", monotonic=seconds)


def sign_message(key: PrivateKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(b"message", ec.ECDSA(hashes.SHA256()))
    return key.sign(b"message")


@pytest.mark.parametrize("key_type", KeyType)
def test_every_key_type_survives_a_restart(key_type: KeyType) -> None:
    """Made, stored, read back by another process with the same master key, and signing the same."""
    database = InlineDatabase()
    before = make_service(database)
    reference = result_of(before.generate(key_type, label="the label"))
    public_key = result_of(before.public_key(reference))
    assert key_type_of(public_key) is key_type

    after = make_service(database)
    result_of(after.start())
    assert result_of(after.public_key(reference)) == public_key
    signature = result_of(after.sign(reference, sign_message))
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, b"message", ec.ECDSA(hashes.SHA256()))
    else:
        public_key.verify(signature, b"message")


def test_the_private_key_is_not_in_the_store_in_the_clear() -> None:
    database = InlineDatabase()
    service = make_service(database)
    reference = result_of(service.generate(KeyType.EC_P256, label="x"))
    scalar = result_of(service.sign(reference, lambda key: key.private_numbers().private_value))
    stored = result_of(database.read(lambda c: c.execute(select(software_keys)).one()))
    assert scalar.to_bytes(32) not in stored.encrypted_key
    assert stored.identifier == reference.identifier


def test_fast_keys_sign_at_once_in_the_callers_thread() -> None:
    database, pool = InlineDatabase(), SteppedPool()
    references = [result_of(make_service(database, seed=n).generate(t, label="x")) for n, t in enumerate(FAST)]
    service = make_service(database, pool=pool)
    for reference in references:
        result_of(service.sign(reference, sign_message))
    assert pool.tasks == []


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P384, KeyType.ED448, KeyType.ML_DSA_44])
def test_slow_keys_sign_in_a_signing_thread(key_type: KeyType) -> None:
    database, pool = InlineDatabase(), SteppedPool()
    reference = result_of(make_service(database).generate(key_type, label="x"))
    service = make_service(database, pool=pool)
    signatures: list[bytes] = []
    Deferred.fromCoroutine(service.sign(reference, sign_message)).addCallback(signatures.append)
    assert (signatures, service.queue_length("software")) == ([], 1)
    pool.step()
    assert len(signatures) == 1


def test_a_caller_that_goes_away_does_not_undo_a_begun_signature() -> None:
    """What comes after the await runs to its end: the signature can be recorded."""
    database, pool, recorded = InlineDatabase(), SteppedPool(), []
    reference = result_of(make_service(database).generate(KeyType.RSA_2048, label="x"))
    service = make_service(database, pool=pool)

    async def issue() -> None:
        recorded.append(await service.sign(reference, sign_message))

    request = Deferred.fromCoroutine(issue())
    pool.begin()
    request.cancel()
    pool.end()
    assert len(recorded) == 1


def test_a_wrong_master_key_is_told_at_start() -> None:
    database = InlineDatabase()
    result_of(make_service(database).generate(KeyType.ED25519, label="x"))
    with pytest.raises(WrongMasterKey, match="does not open 1 of the 1 keys"):
        result_of(make_service(database, secret=SECRET[::-1]).start())


def test_a_damaged_key_is_unavailable_and_the_others_work() -> None:
    database = InlineDatabase()
    service = make_service(database)
    damaged = result_of(service.generate(KeyType.EC_P256, label="x"))
    sound = result_of(service.generate(KeyType.EC_P256, label="y"))
    row = software_keys.c.identifier == damaged.identifier
    result_of(database.write(lambda c: c.execute(update(software_keys).where(row).values(encrypted_key=b"\x01"))))
    after = make_service(database)
    result_of(after.start())
    with pytest.raises(Unavailable) as refused:
        result_of(after.sign(damaged, sign_message))
    assert refused.value.refusal_code == "key-unreadable"
    result_of(after.sign(sound, sign_message))


def test_rows_whose_keys_were_swapped_do_not_sign() -> None:
    """Who can write to the store cannot make one CA sign with the key of another."""
    database = InlineDatabase()
    service = make_service(database)
    one, two = (result_of(service.generate(KeyType.EC_P256, label="x")) for _ in range(2))
    column, row = software_keys.c.encrypted_key, software_keys.c.identifier
    sealed = result_of(database.read(lambda c: c.execute(select(column).where(row == one.identifier)).scalar_one()))
    swap = update(software_keys).where(row == two.identifier).values(encrypted_key=sealed)
    result_of(database.write(lambda c: c.execute(swap)))
    with pytest.raises(Unavailable):
        result_of(make_service(database).sign(two, sign_message))


def test_a_deleted_key_is_gone() -> None:
    database = InlineDatabase()
    service = make_service(database)
    reference = result_of(service.generate(KeyType.EC_P256, label="x"))
    result_of(service.delete(reference))
    assert result_of(service.list()) == ()
    for use in (
        lambda: service.sign(reference, sign_message),
        lambda: service.public_key(reference),
        lambda: service.delete(reference),
    ):
        with pytest.raises(NotFound):
            result_of(use())


def test_keys_are_listed_with_type_and_label() -> None:
    service = make_service(InlineDatabase())
    reference = result_of(service.generate(KeyType.ED448, label="root of demo"))
    (key,) = result_of(service.list())
    assert (key.reference, key.key_type, key.label) == (reference, KeyType.ED448, "root of demo")


def test_an_unknown_provider_has_no_keys() -> None:
    service = make_service(InlineDatabase())
    with pytest.raises(NotFound, match="no key provider hsm"):
        result_of(service.sign(KeyReference("hsm", "00" * 16), sign_message))


def test_signatures_are_counted_and_timed() -> None:
    seconds = iter([10.0, 10.5, 20.0, 20.25, 30.0])
    service = make_service(InlineDatabase(), seconds=lambda: next(seconds))
    reference = result_of(service.generate(KeyType.EC_P256, label="x"))
    result_of(service.sign(reference, sign_message))
    result_of(service.sign(reference, sign_message))
    with pytest.raises(ZeroDivisionError):
        result_of(service.sign(reference, lambda key: 1 // 0))
    counters = service.counters["software"]
    assert (counters.signatures, counters.failures, counters.seconds, counters.longest) == (2, 1, 0.75, 0.5)
