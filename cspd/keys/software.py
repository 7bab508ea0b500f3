"""Software keys: in the table ``software_keys``, encrypted at rest (:mod:`cspd.keys.encryption` has the format).

A key is decrypted once and stays in memory from then on. Keys that sign about as fast as P-256 do it in the caller's
thread, at the end of the reactor's turn; the slower ones go to signing threads (OpenSSL signs without the GIL, so these
run on other cores).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from sqlalchemy import Connection, delete, insert, select

from cspd import __version__
from cspd.clock import Clock
from cspd.keys.encryption import DamagedKey, MasterKey, WrongMasterKey
from cspd.keys.generation import generate_private_key, kind_of
from cspd.keys.inspection import KeyHalf, KeyObject, Slot
from cspd.keys.providers import ProviderHealth
from cspd.keys.threads import InlinePool, SigningPool
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey
from cspd.refusals import NotFound, Unavailable
from cspd.store.interfaces import Database
from cspd.store.tables import software_keys

T = TypeVar("T")

PROVIDER = "software"

# bench/signing.py: P-256 0.02 ms, Ed25519 0.03 ms; next come Ed448, P-384, P-521 and RSA 2048 with 0.2 ms each.
FAST = frozenset({KeyType.EC_P256, KeyType.ED25519})
"""Key types that sign in the caller's thread."""

_SLOT = Slot(
    number=0,
    label=PROVIDER,
    serial_number="none",
    model="software keys",
    firmware_version=__version__,
    configuration="keys encrypted in the store",
    description="the software keys of cspd",
    fm_hardware_status="none",
    is_current=True,
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    private_key: PrivateKey = field(repr=False)
    public_key: PublicKey
    is_fast: bool


class SoftwareKeys:
    """Implements :class:`cspd.keys.providers.Provider` and :class:`cspd.keys.inspection.KeyInspection`.

    A key that another node deletes stays usable here until a restart; its row is gone for good at once.
    """

    name = PROVIDER

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        pool: SigningPool,
        fast_pool: SigningPool | None = None,
        master_key: MasterKey,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """``fast_pool`` runs the works of fast keys, in the caller's thread; None does them at once."""
        self.pool = pool
        self._fast_pool = fast_pool or InlinePool()
        self._database = database
        self._clock = clock
        self._master_key = master_key
        self._random_bytes = random_bytes
        self._loaded: dict[str, _Loaded] = {}
        self._public_keys: dict[str, PublicKey] = {}

    async def start(self) -> None:
        """Start the pools and check that the master key opens what the store holds; raises WrongMasterKey."""
        self.pool.start()
        self._fast_pool.start()
        headers = await self._database.read(
            lambda connection: connection.execute(
                select(software_keys.c.identifier, software_keys.c.encrypted_key)
            ).all()
        )
        wrong = [identifier for identifier, sealed in headers if not self._opens(sealed)]
        if wrong:
            raise WrongMasterKey(
                f"[keys.software] master_key does not open {len(wrong)} of the {len(headers)} keys in the store "
                f"(software:{wrong[0]} is one); they were made under another master key"
            )

    async def stop(self) -> None:
        """Finish the signatures that wait, and forget the keys."""
        await self._fast_pool.stop()
        await self.pool.stop()
        self._loaded.clear()

    async def generate(self, key_type: KeyType, label: str, *, decrypts: bool = False) -> KeyReference:
        """Make a key in a signing thread and store it; every RSA key of software decrypts."""
        identifier = self._random_bytes(16).hex()
        private_key, sealed = await self.pool.run(lambda: self._make(identifier, key_type))
        public_key = private_key.public_key()
        row = {
            "identifier": identifier,
            "key_type": key_type.value,
            "label": label,
            "public_key_der": public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "encrypted_key": sealed,
            "created_at": self._clock.now(),
        }
        await self._database.write(lambda connection: connection.execute(insert(software_keys).values(row)))
        self._keep(identifier, private_key, public_key, key_type)
        return KeyReference(PROVIDER, identifier)

    async def public_key(self, identifier: str) -> PublicKey:
        """The public half, from memory or the store."""
        public_key = self._public_keys.get(identifier)
        if public_key is None:
            column = select(software_keys.c.public_key_der).where(software_keys.c.identifier == identifier)
            der = await self._database.read(lambda connection: connection.execute(column).scalar_one_or_none())
            if der is None:
                raise _no_key(identifier)
            public_key = cast(PublicKey, load_der_public_key(der))  # of a type that we made
            self._public_keys[identifier] = public_key
        return public_key

    async def sign(self, identifier: str, work: Callable[[PrivateKey], T]) -> T:
        """Run ``work`` in the pool for fast keys, or in a signing thread."""
        key = self._loaded.get(identifier) or await self._load(identifier)
        pool = self._fast_pool if key.is_fast else self.pool
        return await pool.run(lambda: work(key.private_key))

    async def delete(self, identifier: str) -> None:
        """Delete the row and forget the key."""
        statement = delete(software_keys).where(software_keys.c.identifier == identifier)
        deleted = await self._database.write(lambda connection: connection.execute(statement).rowcount)
        self._loaded.pop(identifier, None)
        self._public_keys.pop(identifier, None)
        if not deleted:
            raise _no_key(identifier)

    async def list(self) -> Sequence[KeyDescription]:
        """All keys of the store, oldest first."""
        columns = (software_keys.c.identifier, software_keys.c.key_type, software_keys.c.label)
        statement = select(*columns).order_by(software_keys.c.created_at, software_keys.c.identifier)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            KeyDescription(reference=KeyReference(PROVIDER, identifier), key_type=KeyType(key_type), label=label)
            for identifier, key_type, label in rows
        )

    async def slots(self) -> Sequence[Slot]:
        """One that stands for the store."""
        return (_SLOT,)

    async def objects(self) -> Sequence[KeyObject]:
        """See :class:`cspd.keys.inspection.KeyInspection`."""
        columns = (software_keys.c.identifier, software_keys.c.label, software_keys.c.public_key_der)
        statement = select(*columns).order_by(software_keys.c.label, software_keys.c.identifier)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            KeyObject(
                half=half,
                kind=kind_of(public_key),
                label=label,
                identifier=identifier,
                usage=(usage,),
                public_key=public_key,
                is_ours=True,
            )
            for identifier, label, der in rows
            for public_key in (cast(PublicKey, load_der_public_key(der)),)  # of a type that we made
            for half, usage in ((KeyHalf.PUBLIC, "verify"), (KeyHalf.PRIVATE, "sign"))
        )

    async def destroy(self, identifier: str) -> Sequence[KeyHalf]:
        """See :class:`cspd.keys.inspection.KeyInspection`."""
        await self.delete(identifier)
        return (KeyHalf.PUBLIC, KeyHalf.PRIVATE)

    async def check(self) -> ProviderHealth:
        """Software keys are always there; the store reports its own health."""
        return self.health()

    def health(self) -> ProviderHealth:
        """See :meth:`check`."""
        return ProviderHealth(name=PROVIDER, available=True)

    def _make(self, identifier: str, key_type: KeyType) -> tuple[PrivateKey, bytes]:
        private_key = generate_private_key(key_type)
        der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return private_key, self._master_key.seal(der, _binding(identifier, key_type))

    async def _load(self, identifier: str) -> _Loaded:
        key_type, private_key = await self._database.read(lambda connection: self._read(connection, identifier))
        return self._keep(identifier, private_key, private_key.public_key(), key_type)

    def _read(self, connection: Connection, identifier: str) -> tuple[KeyType, PrivateKey]:
        """Read and decrypt one key; runs in a database thread."""
        columns = select(software_keys.c.key_type, software_keys.c.encrypted_key)
        row = connection.execute(columns.where(software_keys.c.identifier == identifier)).one_or_none()
        if row is None:
            raise _no_key(identifier)
        key_type = KeyType(row.key_type)
        try:
            der = self._master_key.open(row.encrypted_key, _binding(identifier, key_type))
        except (DamagedKey, WrongMasterKey) as error:
            raise Unavailable(
                "the key cannot be read", code="key-unreadable", detail=f"{identifier}: {error}"
            ) from error
        # The numbers were checked when the key was made, and the tag proves that they are those.
        private_key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        return key_type, cast(PrivateKey, private_key)

    def _keep(self, identifier: str, private_key: PrivateKey, public_key: PublicKey, key_type: KeyType) -> _Loaded:
        self._public_keys[identifier] = public_key
        return self._loaded.setdefault(identifier, _Loaded(private_key, public_key, key_type in FAST))

    def _opens(self, sealed: bytes) -> bool:
        try:
            self._master_key.check(sealed)
        except WrongMasterKey:
            return False
        except DamagedKey:
            pass  # says so when it is used; the other keys work
        return True


def _binding(identifier: str, key_type: KeyType) -> str:
    return f"{identifier}|{key_type.value}"


def _no_key(identifier: str) -> NotFound:
    return NotFound(f"no key {PROVIDER}:{identifier}", code="no-such-key")


__all__ = ["FAST", "PROVIDER", "SoftwareKeys"]
