"""Private keys on their way to whoever asked for them: AsymmetricKeyPackage (RFC 5958)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, SignatureError, encode_algorithm, read_algorithm

KEY_PACKAGE = "2.16.840.1.101.2.1.2.78.5"
"""id-ct-KP-aKeyPackage."""
MAX_KEYS = 8

_ATTRIBUTES, _PUBLIC_KEY = 0xA0, 0x81
_V1, _V2 = 0, 1


class KeyPackageError(ValueError):
    """The bytes are not an AsymmetricKeyPackage."""


class ExportableKey(Protocol):
    """A private key of ``cryptography`` that lives in memory."""

    def private_bytes(self, encoding: Encoding, format: PrivateFormat, encryption_algorithm: NoEncryption) -> bytes:
        """Its octets."""
        ...

    def public_key(self) -> PublicKeyTypes:
        """Its public half."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OneAsymmetricKey:
    """A private key (RFC 5958, 2); without a public key it is the PrivateKeyInfo of PKCS#8."""

    algorithm: Algorithm
    private_key: bytes = field(repr=False)
    """What the OCTET STRING holds, by its algorithm."""
    public_key: bytes | None = None
    """The octets of the BIT STRING subjectPublicKey."""
    attributes_der: bytes = b""
    """``[0] Attributes``, whole."""

    @property
    def pkcs8_der(self) -> bytes:
        """The key as version 1, without its public half, which readers of PKCS#8 do not all know."""
        return self._encoded(_V1, b"")

    @property
    def der(self) -> bytes:
        """The key as it is: version 2 if it has its public half with it."""
        if self.public_key is None:
            return self.pkcs8_der
        return self._encoded(_V2, tlv.element(_PUBLIC_KEY, b"\x00" + self.public_key))

    def _encoded(self, version: int, public_key: bytes) -> bytes:
        return tlv.sequence(
            tlv.integer(version),
            encode_algorithm(self.algorithm),
            tlv.element(tlv.OCTET_STRING, self.private_key),
            self.attributes_der,
            public_key,
        )


def one_asymmetric_key(key: ExportableKey, *, with_public_key: bool) -> OneAsymmetricKey:
    """A private key as it is handed out; RFC 9483, 4.1.6 wants the public half, readers before RFC 5958 do not."""
    read = _one_key(Cursor.over(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())))
    public_key = None
    if with_public_key:
        info = Cursor.over(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        info = info.enter(tlv.SEQUENCE)
        info.enter(tlv.SEQUENCE)
        public_key = info.contents(tlv.BIT_STRING)[1:]
    return OneAsymmetricKey(algorithm=read.algorithm, private_key=read.private_key, public_key=public_key)


def encode_key_package(keys: Iterable[OneAsymmetricKey]) -> bytes:
    """An AsymmetricKeyPackage of at least one key, DER."""
    return tlv.sequence(*(key.der for key in keys))


def read_key_package(package_der: bytes) -> tuple[OneAsymmetricKey, ...]:
    """The keys of an AsymmetricKeyPackage, DER; raises :class:`KeyPackageError`.

    Whether the octets of each key are one of its algorithm is not looked at.
    """
    try:
        whole = Cursor.over(package_der)
        package = whole.enter(tlv.SEQUENCE)
        whole.finish()
        keys: list[OneAsymmetricKey] = []
        while not package.is_at_end:
            if len(keys) == MAX_KEYS:
                raise KeyPackageError(f"more than {MAX_KEYS} keys")
            keys.append(_one_key(package))
    except (tlv.DERError, SignatureError) as error:
        raise KeyPackageError(f"not an AsymmetricKeyPackage: {error}") from error
    if not keys:
        raise KeyPackageError("an AsymmetricKeyPackage without a key")
    return tuple(keys)


def _one_key(cursor: Cursor) -> OneAsymmetricKey:
    key = cursor.enter(tlv.SEQUENCE)
    version = key.integer()
    algorithm = read_algorithm(key.element())
    private_key = key.contents(tlv.OCTET_STRING)
    attributes_der = key.element() if key.peek() == _ATTRIBUTES else b""
    public_key = None
    if version == _V2 and key.peek() == _PUBLIC_KEY:
        bits = key.contents(_PUBLIC_KEY)
        if bits[:1] != b"\x00":
            raise KeyPackageError("a public key that is not of whole octets")
        public_key = bits[1:]
    key.finish()
    if version not in (_V1, _V2):
        raise KeyPackageError(f"a key of version {version}")
    return OneAsymmetricKey(
        algorithm=algorithm, private_key=private_key, public_key=public_key, attributes_der=attributes_der
    )


__all__ = [
    "KEY_PACKAGE",
    "ExportableKey",
    "KeyPackageError",
    "OneAsymmetricKey",
    "encode_key_package",
    "one_asymmetric_key",
    "read_key_package",
]
