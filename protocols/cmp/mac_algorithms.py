"""Protecting messages with a shared secret: password-based MAC and PBMAC1 (RFC 9810, 5.1.3.1; RFC 9481, 6.1; RFC 8018).

A key is derived once and used for all messages of a transaction, which RFC 9810 recommends, because that is the dear
part: up to ``max_iterations`` hashes, tens of milliseconds of a processor::

    algorithm = read_mac_algorithm(header.protection_alg, policy)    # cheap
    key = algorithm.derive(secret)                                   # slow: not on the reactor's thread
    key.mac(octets)                                                  # cheap
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, encode_algorithm
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.value_encoding import (
    encode_octets,
    read_algorithm_identifier,
    read_octets,
    read_small_integer,
)

PASSWORD_BASED_MAC = "1.2.840.113533.7.66.13"  # noqa: S105  # an object identifier
DH_BASED_MAC = "1.2.840.113533.7.66.30"
KEM_BASED_MAC = "1.2.840.113533.7.66.16"
PBMAC1 = "1.2.840.113549.1.5.14"
PBKDF2 = "1.2.840.113549.1.5.12"
MAC_ALGORITHMS = frozenset((PASSWORD_BASED_MAC, DH_BASED_MAC, KEM_BASED_MAC, PBMAC1))
"""Those that protect by a secret, whether we know them or not."""

MAX_SALT_OCTETS = 128
"""RFC 9810, 5.1.3.1."""

_HASHES: Mapping[str, str] = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_HMACS: Mapping[str, str] = {
    "1.3.6.1.5.5.8.1.2": "sha1",  # HMAC-SHA1, by the name of RFC 4210
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
SHA256 = Algorithm("2.16.840.1.101.3.4.2.1")
HMAC_SHA256 = Algorithm("1.2.840.113549.2.9", tlv.NULL)
_HMAC_SHA1 = Algorithm("1.2.840.113549.2.7", tlv.NULL)  # the default of PBKDF2-params
_MIN_KEY_OCTETS, _MAX_KEY_OCTETS = 20, 128  # RFC 9579, 6: more than an HMAC-SHA1 has gives nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class MACPolicy:
    """Which MACs of clients we compute."""

    min_iterations: int = 100
    """RFC 9481, 6.1.1."""
    max_iterations: int = 100_000
    """Of one derivation in all. A client that asks for more would have us work for nothing."""
    owf_hashes: frozenset[str] = frozenset({"sha224", "sha256", "sha384", "sha512"})
    """Hashes that a key of a password-based MAC may be derived by (RFC 9481, 6.1.1)."""
    hmac_hashes: frozenset[str] = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512"})
    """Hashes of HMAC, as the MAC and as the function of PBKDF2. No attack on SHA-1 touches HMAC, and openssl 3.0 sends
    HMAC-SHA1 unless told otherwise."""


DEFAULT_MAC_POLICY = MACPolicy()


@dataclass(frozen=True, slots=True)
class MACKey:
    """A derived key, for messages of one client."""

    algorithm: Algorithm
    """The protectionAlg that it goes with."""
    hash_name: str
    key: bytes = field(repr=False)

    def mac(self, octets: bytes) -> bytes:
        """The MAC of these octets."""
        return hmac.digest(self.key, octets, self.hash_name)


class MACAlgorithm(Protocol):
    """A protectionAlg by a shared secret."""

    @property
    def algorithm(self) -> Algorithm:
        """As it stands in the header."""
        ...

    def derive(self, secret: bytes) -> MACKey:
        """Derive the key. May take tens of milliseconds: call it in a thread."""
        ...


@dataclass(frozen=True, slots=True)
class PasswordBasedMAC:
    """PBMParameter (RFC 9810, 5.1.3.1)."""

    salt: bytes
    iteration_count: int
    owf: Algorithm = SHA256
    mac: Algorithm = HMAC_SHA256

    @property
    def rounds(self) -> int:
        """Hashes that a derivation costs."""
        return self.iteration_count

    @property
    def algorithm(self) -> Algorithm:
        """The protectionAlg."""
        parameters_der = tlv.sequence(
            encode_octets(self.salt),
            encode_algorithm(self.owf),
            tlv.integer(self.iteration_count),
            encode_algorithm(self.mac),
        )
        return Algorithm(PASSWORD_BASED_MAC, parameters_der)

    def derive(self, secret: bytes) -> MACKey:
        """Derive the key. May take tens of milliseconds: call it in a thread."""
        owf = getattr(hashlib, _HASHES[self.owf.oid])
        key: bytes = secret + self.salt
        for _ in range(self.iteration_count):
            key = owf(key).digest()
        return MACKey(self.algorithm, _HMACS[self.mac.oid], key)


@dataclass(frozen=True, slots=True)
class PBMAC1MAC:
    """PBMAC1-params with PBKDF2 (RFC 8018, 7.1 and A.2)."""

    salt: bytes
    iteration_count: int
    key_length: int | None = 32
    """Octets; None is the length of the hash of ``mac``."""
    prf: Algorithm = HMAC_SHA256
    mac: Algorithm = HMAC_SHA256

    @property
    def rounds(self) -> int:
        """HMACs that a derivation costs: PBKDF2 iterates anew for each piece of the key (RFC 8018, 5.2)."""
        return self.iteration_count * -(-self.key_octets // hashlib.new(_HMACS[self.prf.oid]).digest_size)

    @property
    def key_octets(self) -> int:
        """The length of the derived key."""
        return self.key_length or hashlib.new(_HMACS[self.mac.oid]).digest_size

    @property
    def algorithm(self) -> Algorithm:
        """The protectionAlg."""
        derivation = _encode_pbkdf2(self.salt, self.iteration_count, self.key_length, self.prf)
        key_derivation = tlv.sequence(tlv.object_identifier(PBKDF2), derivation)
        return Algorithm(PBMAC1, tlv.sequence(key_derivation, encode_algorithm(self.mac)))

    def derive(self, secret: bytes) -> MACKey:
        """Derive the key. May take tens of milliseconds: call it in a thread."""
        key = hashlib.pbkdf2_hmac(_HMACS[self.prf.oid], secret, self.salt, self.iteration_count, self.key_octets)
        return MACKey(self.algorithm, _HMACS[self.mac.oid], key)


def read_mac_algorithm(algorithm: Algorithm, policy: MACPolicy = DEFAULT_MAC_POLICY) -> MACAlgorithm:
    """Take a protectionAlg apart, which is of :data:`MAC_ALGORITHMS`.

    Raises :class:`protocols.cmp.errors.PKIMessageRejected`: ``badAlg`` for an algorithm that we do not know or that
    ``policy`` forbids, DHBasedMac and KEMBasedMac among them, and ``badDataFormat`` for parameters that are none.
    """
    try:
        if algorithm.oid == PASSWORD_BASED_MAC:
            return _read_password_based_mac(Cursor.over(algorithm.parameters_der), policy)
        if algorithm.oid == PBMAC1:
            return _read_pbmac1(Cursor.over(algorithm.parameters_der), policy)
    except tlv.DERError as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_DATA_FORMAT, "the parameters of protectionAlg are malformed", detail=str(error)
        ) from error
    raise _bad_algorithm(f"protection by {algorithm.oid} is not supported")


def _read_password_based_mac(cursor: Cursor, policy: MACPolicy) -> PasswordBasedMAC:
    fields = cursor.enter(tlv.SEQUENCE)
    cursor.finish()
    salt = read_octets(fields, MAX_SALT_OCTETS)
    owf = read_algorithm_identifier(fields)
    iteration_count = read_small_integer(fields)
    mac = read_algorithm_identifier(fields)
    fields.finish()
    if _HASHES.get(owf.oid) not in policy.owf_hashes:
        raise _bad_algorithm(f"the hash {owf.oid} is not accepted as owf")
    _check_iterations(iteration_count, policy)
    _check_hmac(mac, policy)
    # What we made of the parameters is what the answer repeats: nothing of them is lost.
    return PasswordBasedMAC(salt, iteration_count, owf, mac)


def _read_pbmac1(cursor: Cursor, policy: MACPolicy) -> PBMAC1MAC:
    fields = cursor.enter(tlv.SEQUENCE)
    cursor.finish()
    derivation = read_algorithm_identifier(fields)
    mac = read_algorithm_identifier(fields)
    fields.finish()
    if derivation.oid != PBKDF2:
        raise _bad_algorithm(f"the key derivation {derivation.oid} is not supported")
    outer = Cursor.over(derivation.parameters_der)
    inner = outer.enter(tlv.SEQUENCE)
    outer.finish()
    salt = read_octets(inner, MAX_SALT_OCTETS)
    iteration_count = read_small_integer(inner)
    key_length = read_small_integer(inner) if inner.peek() == tlv.INTEGER else None
    prf = _HMAC_SHA1 if inner.is_at_end else read_algorithm_identifier(inner)
    inner.finish()
    if derivation.parameters_der != _encode_pbkdf2(salt, iteration_count, key_length, prf):
        raise tlv.DERError("a default value is written")
    if key_length is not None and not _MIN_KEY_OCTETS <= key_length <= _MAX_KEY_OCTETS:
        raise _bad_algorithm(f"keys of {key_length} octets are not accepted")
    _check_iterations(iteration_count, policy)
    _check_hmac(prf, policy)
    _check_hmac(mac, policy)
    algorithm = PBMAC1MAC(salt, iteration_count, key_length, prf, mac)
    if algorithm.rounds > policy.max_iterations:
        raise _bad_algorithm(
            f"a key of {algorithm.key_octets} octets takes more than {policy.max_iterations} iterations"
        )
    return algorithm


def _encode_pbkdf2(salt: bytes, iteration_count: int, key_length: int | None, prf: Algorithm) -> bytes:
    """PBKDF2-params, which leave a default value out (RFC 8018, A.2)."""
    return tlv.sequence(
        encode_octets(salt),
        tlv.integer(iteration_count),
        b"" if key_length is None else tlv.integer(key_length),
        b"" if prf == _HMAC_SHA1 else encode_algorithm(prf),
    )


def _check_iterations(iteration_count: int, policy: MACPolicy) -> None:
    if not policy.min_iterations <= iteration_count <= policy.max_iterations:
        raise _bad_algorithm(f"the iteration count must be {policy.min_iterations} to {policy.max_iterations}")


def _check_hmac(mac: Algorithm, policy: MACPolicy) -> None:
    if _HMACS.get(mac.oid) not in policy.hmac_hashes:
        raise _bad_algorithm(f"the MAC {mac.oid} is not accepted")


def _bad_algorithm(status_string: str) -> PKIMessageRejected:
    return PKIMessageRejected(PKIFailureInfo.BAD_ALG, status_string)
