"""DER of popdecc and popdecr (RFC 9810, 5.2.8.3.3), in the manner of :mod:`protocols.cmp.body_encoding`."""

from __future__ import annotations

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import encode_algorithm
from protocols.cmp.limits import Limits
from protocols.cmp.messages import Challenge, POPODecKeyChallContent, POPODecKeyRespContent, Rand
from protocols.cmp.value_encoding import (
    encode_octets,
    encode_sequence_of,
    encode_tagged,
    read_algorithm_identifier,
    read_general_name,
    read_octets,
    read_sequence_of,
    read_small_integer,
    read_structure,
    tagged,
)

MAX_WITNESS_OCTETS = 64
MAX_CHALLENGE_OCTETS = 2048
"""Encrypted by an RSA key of 16,384 bits."""


def read_challenge_content(cursor: Cursor, limits: Limits) -> POPODecKeyChallContent:
    """Step over a POPODecKeyChallContent."""
    return POPODecKeyChallContent(read_sequence_of(cursor, _read_challenge, limit=limits.requests))


def encode_challenge_content(content: POPODecKeyChallContent) -> bytes:
    """Encode a POPODecKeyChallContent."""
    return encode_sequence_of(content.challenges, _encode_challenge)


def read_response_content(cursor: Cursor, limits: Limits) -> POPODecKeyRespContent:
    """Step over a POPODecKeyRespContent."""
    return POPODecKeyRespContent(read_sequence_of(cursor, read_small_integer, limit=limits.requests))


def encode_response_content(content: POPODecKeyRespContent) -> bytes:
    """Encode a POPODecKeyRespContent."""
    return encode_sequence_of(content.numbers, tlv.integer)


def read_rand(data: bytes) -> Rand:
    """What a client has decrypted; raises :class:`cspd.x509.tlv.DERError`."""
    whole = Cursor.over(data)
    fields = whole.enter(tlv.SEQUENCE)
    whole.finish()
    rand = Rand(number=read_small_integer(fields), sender_der=read_general_name(fields))
    fields.finish()
    return rand


def encode_rand(rand: Rand) -> bytes:
    """Encode a Rand."""
    return tlv.sequence(tlv.integer(rand.number), rand.sender_der)


def _read_challenge(cursor: Cursor) -> Challenge:
    fields = cursor.enter(tlv.SEQUENCE)
    challenge = Challenge(
        owf=read_algorithm_identifier(fields) if fields.peek() == tlv.SEQUENCE else None,
        witness=read_octets(fields, MAX_WITNESS_OCTETS),
        challenge=read_octets(fields, MAX_CHALLENGE_OCTETS),
        encrypted_rand_der=tagged(fields, 0, read_structure) or b"",
    )
    fields.finish()
    return challenge


def _encode_challenge(challenge: Challenge) -> bytes:
    return tlv.sequence(
        b"" if challenge.owf is None else encode_algorithm(challenge.owf),
        encode_octets(challenge.witness),
        encode_octets(challenge.challenge),
        encode_tagged(0, challenge.encrypted_rand_der),
    )
