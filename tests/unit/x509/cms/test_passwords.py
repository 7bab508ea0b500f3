"""Password recipients: what we wrap we unwrap, and nothing else. ``test_scep_openssl.py`` has what OpenSSL wraps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.enveloped import EnvelopedContent, PasswordRecipient, encode_enveloped_data, read_enveloped_data
from cspd.x509.cms.passwords import unwrap_with_password
from cspd.x509.cms.recipients import Password
from cspd.x509.cms.values import CMSError
from cspd.x509.signatures import Algorithm

CONTENT = b"for those who know the word"
WORD = b"sesame"


def counted(octets: int) -> bytes:
    return bytes(range(octets))


def enveloped(cipher: ContentCipher = ContentCipher.AES_256_CBC) -> EnvelopedContent:
    message = encode_enveloped_data(CONTENT, [Password(WORD, 10)], random_bytes=counted, cipher=cipher)
    return read_enveloped_data(message)


def recipient() -> PasswordRecipient:
    [found] = enveloped().passwords
    return found


@pytest.mark.parametrize("cipher", [ContentCipher.AES_128_CBC, ContentCipher.AES_192_CBC, ContentCipher.AES_256_GCM])
def test_what_was_wrapped_is_unwrapped(cipher: ContentCipher) -> None:
    message = enveloped(cipher)
    assert message.decrypt(unwrap_with_password(message.passwords[0], WORD)) == CONTENT


def test_another_password_is_refused() -> None:
    with pytest.raises(CMSError, match="cannot be unwrapped"):
        unwrap_with_password(recipient(), b"open")


def _pbkdf2(*elements: bytes) -> Algorithm:
    return Algorithm("1.2.840.113549.1.5.12", tlv.sequence(*elements))


SALT = tlv.element(tlv.OCTET_STRING, b"salt")


@pytest.mark.parametrize(
    ("derivation", "text"),
    [
        pytest.param(None, "other than PBKDF2", id="none"),
        pytest.param(Algorithm("1.2.3"), "other than PBKDF2", id="unknown"),
        pytest.param(_pbkdf2(SALT, tlv.integer(10**9)), "iterations", id="endless"),
        pytest.param(_pbkdf2(SALT, tlv.integer(0)), "iterations", id="no iteration"),
        pytest.param(_pbkdf2(tlv.element(4, bytes(65)), tlv.integer(1)), "salt", id="long salt"),
        pytest.param(_pbkdf2(SALT, tlv.integer(1), tlv.integer(16)), "length", id="another key length"),
        pytest.param(_pbkdf2(SALT, tlv.integer(1), tlv.sequence(tlv.object_identifier("1.2.3"))), "function", id="prf"),
        pytest.param(_pbkdf2(SALT), "PBKDF2", id="cut"),
    ],
)
def test_a_derivation_of_another_kind_is_refused(derivation: Algorithm | None, text: str) -> None:
    with pytest.raises(CMSError, match=text):
        unwrap_with_password(replace(recipient(), derivation=derivation), WORD)


@pytest.mark.parametrize(
    "wrapping",
    [
        Algorithm("1.2.3"),
        Algorithm("1.2.840.113549.1.9.16.3.9"),
        Algorithm("1.2.840.113549.1.9.16.3.9", tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.1.46"))),
        Algorithm("1.2.840.113549.1.9.16.3.9", tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.1.42"))),
    ],
)
def test_a_wrapping_of_another_kind_is_refused(wrapping: Algorithm) -> None:
    with pytest.raises(CMSError, match="wrapping"):
        unwrap_with_password(replace(recipient(), wrapping=wrapping), WORD)


@given(st.binary(max_size=80))
def test_any_wrapped_key_is_unwrapped_or_refused(wrapped: bytes) -> None:
    with pytest.raises(CMSError, match="cannot be unwrapped"):
        unwrap_with_password(replace(recipient(), encrypted_key=wrapped), WORD)
