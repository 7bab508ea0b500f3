"""Opening envelopes, and closing them for the answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

from cspd.refusals import Unavailable
from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.enveloped import read_enveloped_data
from cspd.x509.cms.recipients import KeyTransport, Password, Recipient, SharedKey
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.codec import decode
from protocols.scep.decryption import PasswordDecryption, SharedPasswords, StoredKeyDecryption
from protocols.scep.envelope import OpenedEnvelope, RecipientKey, answer_recipient, open_envelope, seal_envelope
from protocols.scep.errors import PKIMessageRefused, UnreadableEnvelope
from protocols.scep.messages import FailInfo
from tests.protocols.scep.vectors import (
    RECORDED_RA,
    STRICT,
    VECTORS,
    at_once,
    counted,
    ec_key,
    indefinite,
    ra_certificate,
    ra_keys,
    recorded_ra_key,
    rsa_key,
)
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, certificate_of, recipient_key, stored

CONTENT = b"a certification request, for example"


def substitute(octets: int) -> bytes:
    """The key that is tried when there is none: one that does not fit, in no run of the tests."""
    return bytes((0x5A,)) * octets


def opened(
    envelope: bytes,
    recipients: Sequence[RecipientKey] | None = None,
    policy: AlgorithmPolicy = STRICT,
    passwords: PasswordDecryption | None = None,
) -> OpenedEnvelope:
    recipients = ra_keys() if recipients is None else recipients
    return result_of(open_envelope(envelope, recipients, policy, random_bytes=substitute, passwords=passwords))


def for_ra(which: str = "now", *, oaep: bool = False, by_key: bool = False) -> KeyTransport:
    return KeyTransport(rsa_key(f"ra {which}").public_key(), None if by_key else ra_certificate(which), oaep)


def sealed(recipient: Recipient, cipher: ContentCipher = ContentCipher.AES_128_CBC) -> bytes:
    return seal_envelope(CONTENT, recipient, cipher, counted)


@pytest.mark.parametrize("name", VECTORS)
def test_what_strongswan_enveloped_is_opened(name: str) -> None:
    envelope = decode(VECTORS[name]).message.pkcs_pki_envelope
    assert envelope is not None
    keys = [recipient_key(recorded_ra_key(), RECORDED_RA)]
    found = opened(envelope, keys, EVERYTHING)
    assert found.content.startswith(b"\x30")
    assert found.cipher is (ContentCipher.DES_EDE3_CBC if "des3" in name else ContentCipher.AES_128_CBC)
    assert opened(indefinite(envelope), keys, EVERYTHING) == found


@pytest.mark.parametrize("cipher", ContentCipher)
def test_every_cipher_opens_and_is_the_one_of_the_answer(cipher: ContentCipher) -> None:
    assert opened(sealed(for_ra(), cipher), policy=EVERYTHING) == OpenedEnvelope(content=CONTENT, cipher=cipher)


@pytest.mark.parametrize("oaep", [False, True])
@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("which", ["now", "before"])
def test_the_registration_authority_of_before_still_opens(which: str, by_key: bool, oaep: bool) -> None:
    found = opened(sealed(for_ra(which, oaep=oaep, by_key=by_key)))
    assert (found.content, found.is_oaep) == (CONTENT, oaep)


def test_oaep_as_openssl_has_it_by_default_opens() -> None:
    """SHA-1, which the parameters leave away."""
    scheme = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    envelope = _with_encrypted_key(
        lambda key: rsa_key("ra now").public_key().encrypt(key, scheme),
        algorithm=tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.7"), tlv.sequence()),
    )
    assert opened(envelope).content == CONTENT


def _refusal(envelope: bytes, policy: AlgorithmPolicy = STRICT) -> PKIMessageRefused:
    with pytest.raises(PKIMessageRefused) as refused:
        opened(envelope, policy=policy)
    return refused.value


def _with_encrypted_key(encrypt: Callable[[bytes], bytes], *, algorithm: bytes = b"") -> bytes:
    """An envelope for the RA of now, whose encryptedKey is made of the content key by ``encrypt``."""

    class Recipient:
        def wrap(self, content_key: bytes, random_bytes: object) -> bytes:
            del random_bytes
            usual = for_ra().wrap(content_key, counted)
            start, stop = tlv.read_only(usual, 0, len(usual), tlv.SEQUENCE)
            elements = []
            while start < stop:
                _, _, end = tlv.read_any(usual, start, stop)
                elements.append(usual[start:end])
                start = end
            version, name, usual_algorithm, _ = elements
            encrypted = tlv.element(tlv.OCTET_STRING, encrypt(content_key))
            return tlv.sequence(version, name, algorithm or usual_algorithm, encrypted)

    # GCM: with CBC one wrong key of 256 gives a padding that fits.
    return sealed(Recipient(), ContentCipher.AES_128_GCM)


def _encrypted(content_key: bytes) -> bytes:
    return rsa_key("ra now").public_key().encrypt(content_key, padding.PKCS1v15())


def _tampered(cipher: ContentCipher, at: int) -> bytes:
    """An envelope with one bit of the ciphertext turned."""
    envelope = sealed(for_ra(), cipher)
    ciphertext = read_enveloped_data(envelope).ciphertext
    changed = bytearray(ciphertext)
    changed[at] ^= 1
    return envelope.replace(ciphertext, bytes(changed))


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: b"an envelope", id="text"),
        pytest.param(lambda: sealed(for_ra()) + b"\0", id="more behind it"),
        pytest.param(lambda: _with_encrypted_key(lambda key: os.urandom(256)), id="key of noise"),
        pytest.param(lambda: _with_encrypted_key(lambda key: b"\xff" * 256), id="key above the modulus"),
        pytest.param(lambda: _with_encrypted_key(lambda key: bytes(256)), id="key zero"),
        pytest.param(lambda: _with_encrypted_key(lambda key: b""), id="no key"),
        pytest.param(lambda: _with_encrypted_key(lambda key: _encrypted(key[:-1])), id="short key"),
        pytest.param(lambda: _with_encrypted_key(lambda key: _encrypted(key + b"\0")), id="long key"),
        pytest.param(lambda: _with_encrypted_key(lambda key: _encrypted(bytes(16))), id="another key"),
        pytest.param(lambda: _with_encrypted_key(lambda key: _encrypted(b"")), id="empty key"),
        pytest.param(lambda: _tampered(ContentCipher.AES_128_CBC, -1), id="last octet of CBC"),
        pytest.param(lambda: _tampered(ContentCipher.AES_128_GCM, 0), id="first octet of GCM"),
    ],
)
def test_whatever_does_not_open_is_refused_alike(envelope: Callable[[], bytes]) -> None:
    refused = _refusal(envelope())
    assert type(refused) is UnreadableEnvelope
    assert (refused.fail_info, refused.fail_info_text) == (
        FailInfo.BAD_MESSAGE_CHECK,
        "the pkcsPKIEnvelope cannot be read",
    )


@pytest.mark.parametrize(
    ("envelope", "fail_info", "text"),
    [
        pytest.param(
            lambda: sealed(KeyTransport(rsa_key("ra now").public_key(), certificate_of(rsa_key("ra now"), "an RA"))),
            FailInfo.BAD_MESSAGE_CHECK,
            "for somebody else",
            id="the same key under another name",
        ),
        pytest.param(
            lambda: sealed(Password(b"sesame", 1)), FailInfo.BAD_MESSAGE_CHECK, "for somebody else", id="a password"
        ),
        pytest.param(
            lambda: sealed(SharedKey(bytes(16), b"k")), FailInfo.BAD_MESSAGE_CHECK, "for somebody else", id="shared key"
        ),
        pytest.param(
            lambda: sealed(for_ra(), ContentCipher.DES_EDE3_CBC), FailInfo.BAD_ALG, "DES_EDE3_CBC is not", id="3DES"
        ),
        pytest.param(lambda: sealed(for_ra(), ContentCipher.DES_CBC), FailInfo.BAD_ALG, "DES_CBC is not", id="DES"),
        pytest.param(
            lambda: sealed(for_ra()).replace(
                tlv.object_identifier("2.16.840.1.101.3.4.1.2"), tlv.object_identifier("2.16.840.1.101.3.4.1.3")
            ),
            FailInfo.BAD_ALG,
            "2.16.840.1.101.3.4.1.3 is not known",
            id="AES in another mode",
        ),
        pytest.param(
            lambda: _with_encrypted_key(_encrypted, algorithm=tlv.sequence(tlv.object_identifier("1.2.3"))),
            FailInfo.BAD_ALG,
            "key encryption 1.2.3",
            id="another key encryption",
        ),
        pytest.param(
            lambda: _with_encrypted_key(
                _encrypted, algorithm=tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.7"), tlv.integer(1))
            ),
            FailInfo.BAD_ALG,
            "RSAES-OAEP",
            id="OAEP of nonsense",
        ),
    ],
)
def test_what_is_not_for_us_is_refused_by_name(envelope: Callable[[], bytes], fail_info: FailInfo, text: str) -> None:
    refused = _refusal(envelope())
    assert type(refused) is PKIMessageRefused
    assert refused.fail_info is fail_info
    assert text in refused.fail_info_text


@dataclass
class Token:
    """A token that says when a padding does not fit, as PKCS #11 does."""

    answer: bytes | None = None
    asked: int = 0

    async def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes | None:
        del encrypted_key, padding
        self.asked += 1
        return self.answer


def test_a_token_that_tells_of_the_padding_makes_no_difference() -> None:
    """The content is decrypted all the same, with a key at random."""
    made: list[int] = []

    def random_bytes(octets: int) -> bytes:
        made.append(octets)
        return substitute(octets)

    async def open_with(token: Token) -> OpenedEnvelope:
        keys = [RecipientKey(ra_certificate(), token)]
        return await open_envelope(sealed(for_ra()), keys, STRICT, random_bytes=random_bytes)

    for answer in (None, b"", bytes(16), bytes(17)):
        with pytest.raises(UnreadableEnvelope) as refused:
            result_of(open_with(Token(answer)))
        assert refused.value.detail == "the content cannot be decrypted"
    assert made == [16] * 4


def test_the_key_of_another_recipient_is_not_used() -> None:
    tokens = [Token(), Token()]
    keys = [RecipientKey(ra_certificate(which), token) for which, token in zip(("now", "before"), tokens, strict=True)]
    with pytest.raises(UnreadableEnvelope):
        opened(sealed(for_ra("before")), keys)
    assert [token.asked for token in tokens] == [0, 1]


def test_a_key_that_only_signs_makes_the_service_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class SigningKey:
        def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes:
            del encrypted_key, padding
            raise UnsupportedAlgorithm("a signing key does not decrypt")

    keys, reference = stored(rsa_key("ra now"))
    monkeypatch.setitem(keys.private_keys, reference, SigningKey())
    with pytest.raises(Unavailable):
        result_of(StoredKeyDecryption(keys, reference).decrypt(bytes(256), padding.PKCS1v15()))


def test_a_password_opens_what_no_key_does() -> None:
    envelope = sealed(Password(b"sesame", 10))
    passwords = SharedPasswords([b"open", b"sesame"], at_once)
    assert opened(envelope, passwords=passwords).content == CONTENT
    with pytest.raises(UnreadableEnvelope):
        opened(envelope, passwords=SharedPasswords([b"open"], at_once))


def _opened_as(**changes: object) -> OpenedEnvelope:
    return OpenedEnvelope(**{"content": b"", "cipher": ContentCipher.AES_128_CBC, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("oaep", [False, True])
def test_an_answer_is_for_the_rsa_key_of_the_signer(oaep: bool) -> None:
    certificate = certificate_of(rsa_key("device"), "device")
    recipient = answer_recipient(certificate, _opened_as(is_oaep=oaep), "sesame")
    assert recipient == KeyTransport(rsa_key("device").public_key(), certificate, oaep)


def test_an_answer_is_for_the_password_of_a_signer_who_cannot_decrypt() -> None:
    certificate = certificate_of(ec_key(), "device")
    assert answer_recipient(certificate, _opened_as(), "sesame") == Password(b"sesame")
    with pytest.raises(PKIMessageRefused, match="neither") as refused:
        answer_recipient(certificate, _opened_as())
    assert refused.value.fail_info is FailInfo.BAD_ALG


def test_a_key_that_is_too_short_to_encrypt_with_is_refused() -> None:
    class Short:
        def encrypt(self, plaintext: bytes, padding: AsymmetricPadding) -> bytes:
            raise ValueError("Encryption failed")

    short: rsa.RSAPublicKey = Short()  # type: ignore[assignment]
    with pytest.raises(PKIMessageRefused, match="nothing can be encrypted") as refused:
        sealed(KeyTransport(short, ra_certificate()))
    assert refused.value.fail_info is FailInfo.BAD_ALG
