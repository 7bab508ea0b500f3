"""Nothing of a refusal tells where an envelope stopped being readable (Bleichenbacher, Vaudenay).

Anybody can put the envelope of somebody else, altered, into a message of their own. Whatever is altered, the answer
says the same to the last octet, and the same was done for it: one decryption with the RSA key, one of the content.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.enveloped import EnvelopedContent, read_enveloped_data
from cspd.x509.cms.recipients import KeyTransport
from protocols.scep.decryption import KeyDecryption
from protocols.scep.envelope import seal_envelope
from protocols.scep.messages import FailInfo, MessageType, PKIMessage
from tests.protocols.scep.world import World, rsa_key
from tests.support.scep_client import ScepClient

ANSWER = (FailInfo.BAD_MESSAGE_CHECK, "the pkcsPKIEnvelope cannot be read")


@dataclass
class Counting:
    """Implements :class:`protocols.scep.decryption.KeyDecryption` with another, and counts."""

    key: KeyDecryption
    counts: Counter[str]

    async def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes | None:
        """See :class:`protocols.scep.decryption.KeyDecryption`."""
        self.counts["RSA"] += 1
        return await self.key.decrypt(encrypted_key, padding)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    assert world.certificate_count == 0


@pytest.fixture
def counts(world: World, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often which key has decrypted."""
    counts: Counter[str] = Counter()
    [recipient] = world.authority.registration_authority.recipients
    world.authority.registration_authority = replace(
        world.authority.registration_authority,
        recipients=(replace(recipient, key=Counting(recipient.key, counts)),),
    )
    decrypt = EnvelopedContent.decrypt

    def counted(self: EnvelopedContent, content_key: bytes) -> bytes:
        counts["content"] += 1
        return decrypt(self, content_key)

    monkeypatch.setattr(EnvelopedContent, "decrypt", counted)
    return counts


def envelope_of(content: bytes, device: ScepClient, cipher: ContentCipher = ContentCipher.AES_128_CBC) -> bytes:
    """What the registration authority can open."""
    public_key = device.ra_certificate.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    return seal_envelope(content, KeyTransport(public_key, device.ra_certificate), cipher, os.urandom)


def altered(envelope: bytes, part: bytes, at: int, bits: int = 1) -> bytes:
    """The envelope with bits of one octet of one of its parts the other way round."""
    start = envelope.index(part)
    octets = bytearray(envelope)
    octets[start + at % len(part)] ^= bits
    return bytes(octets)


def of_ciphertext(at: int, bits: int = 1) -> Callable[[bytes], bytes]:
    """Alters the ciphertext."""
    return lambda envelope: altered(envelope, read_enveloped_data(envelope).ciphertext, at, bits)


def of_encrypted_key(at: int) -> Callable[[bytes], bytes]:
    """Alters the encrypted content key."""
    return lambda envelope: altered(envelope, read_enveloped_data(envelope).key_transport[0].encrypted_key, at)


def of_iv(at: int) -> Callable[[bytes], bytes]:
    """Alters the initialization vector."""

    def alter(envelope: bytes) -> bytes:
        parameters = read_enveloped_data(envelope).algorithm.parameters_der
        assert parameters is not None
        return altered(envelope, parameters[2:], at)

    return alter


def with_key(encrypted: Callable[[rsa.RSAPublicKey], bytes]) -> Callable[[bytes], bytes]:
    """Another encrypted content key of the same length."""

    def alter(envelope: bytes) -> bytes:
        return envelope.replace(
            read_enveloped_data(envelope).key_transport[0].encrypted_key, encrypted(rsa_key(0).public_key())
        )

    return alter


def raw(block: Callable[[int], bytes]) -> Callable[[rsa.RSAPublicKey], bytes]:
    """An encrypted block whose padding is made here."""

    def encrypt(public_key: rsa.RSAPublicKey) -> bytes:
        numbers = public_key.public_numbers()
        octets = public_key.key_size // 8
        return pow(int.from_bytes(block(octets), "big"), numbers.e, numbers.n).to_bytes(octets, "big")

    return encrypt


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    **{f"octet {at} of the ciphertext": of_ciphertext(at) for at in range(-34, 0)},
    **{f"bits {bits:02x} of the last but one block": of_ciphertext(-17, bits) for bits in (1, 2, 3, 16, 0x80, 0xFF)},
    **{f"octet {at} of the ciphertext's begin": of_ciphertext(at) for at in (0, 1, 2, 15, 16, 17, 64)},
    **{f"octet {at} of the encrypted key": of_encrypted_key(at) for at in (0, 1, 17, 128, -1)},
    **{f"octet {at} of the IV": of_iv(at) for at in (0, 1, 2, 3, 8, 15)},
    "a content key of another length": with_key(lambda public_key: public_key.encrypt(bytes(32), padding.PKCS1v15())),
    "a content key of no octets": with_key(lambda public_key: public_key.encrypt(b"", padding.PKCS1v15())),
    "another content key": with_key(lambda public_key: public_key.encrypt(bytes(16), padding.PKCS1v15())),
    "padding of type 1": with_key(raw(lambda octets: b"\0\1" + b"\xff" * (octets - 19) + b"\0" + bytes(16))),
    "padding without end": with_key(raw(lambda octets: b"\0\2" + b"\xff" * (octets - 2))),
    "padding that is short": with_key(raw(lambda octets: b"\0\2" + b"\xff" * 7 + b"\0" + bytes(octets - 10))),
    "padding that is none": with_key(raw(lambda octets: bytes(octets - 1) + b"\7")),
}


def answer(world: World, device: ScepClient, envelope: bytes) -> PKIMessage:
    """What the CertRep says, but for what is different in each: nonces, and so the signature."""
    message, data = device.read(world.send(device.sign(MessageType.PKCS_REQ, envelope)))
    assert data is None
    return replace(message, sender_nonce=b"s", recipient_nonce=b"r")


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_whatever_is_altered_the_answer_and_the_work_are_the_same(
    alter: Callable[[bytes], bytes], world: World, counts: Counter[str]
) -> None:
    device = world.device()
    unreadable = answer(world, device, envelope_of(b"nothing that could be read", device))
    assert (unreadable.fail_info, unreadable.fail_info_text) == ANSWER
    assert counts == {"RSA": 1, "content": 1}
    assert answer(world, device, alter(envelope_of(world.csr(), device))) == unreadable
    assert counts == {"RSA": 2, "content": 2}


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda csr: b"",
    "garbage": lambda csr: os.urandom(len(csr)),
    "a request cut short": lambda csr: csr[:-1],
    "a request and more": lambda csr: csr + b"\0",
    "a request with another signature": lambda csr: csr[:-1] + bytes((csr[-1] ^ 1,)),
    "a request for another name": lambda csr: csr.replace(b"device", b"friend"),
}


@pytest.mark.parametrize("cipher", [ContentCipher.AES_128_CBC, ContentCipher.AES_256_CBC, ContentCipher.AES_256_GCM])
@pytest.mark.parametrize("make", CONTENTS.values(), ids=CONTENTS)
def test_whatever_is_inside_the_answer_and_the_work_are_the_same(
    make: Callable[[bytes], bytes], cipher: ContentCipher, world: World, counts: Counter[str]
) -> None:
    device = world.device()
    message = answer(world, device, envelope_of(make(world.csr()), device, cipher))
    assert (message.fail_info, message.fail_info_text) == ANSWER
    assert counts == {"RSA": 1, "content": 1}


def test_what_is_not_altered_is_read() -> None:
    """Or the tests above would prove nothing."""
    world = World()
    device = world.device()
    message, data = device.read(world.send(device.sign(MessageType.PKCS_REQ, envelope_of(world.csr(), device))))
    assert data is not None, message
    assert world.certificate_count == 1
