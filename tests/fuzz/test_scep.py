"""Messages of SCEP that somebody else changed, and envelopes: a value, or the codec's own error.

``corpus/scep`` has what ``pki --scep`` of strongSwan and PyScep said, and devices say; ``make*.py`` there writes it.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.recipients import Password
from protocols.scep.codec import decode
from protocols.scep.decryption import SharedPasswords
from protocols.scep.envelope import open_envelope, seal_envelope
from protocols.scep.errors import DecodeError, PKIMessageRefused
from protocols.scep.verification import verify
from tests.fuzz.mutation import damaged
from tests.protocols.scep.vectors import (
    DEVICES,
    PYSCEP,
    RECORDED_RA,
    VECTORS,
    at_once,
    counted,
    ec_key,
    indefinite,
    recorded_ra_key,
)
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, certificate_of, recipient_key, signer_with

RECORDED = [*VECTORS.values(), *PYSCEP.values(), *DEVICES.values()]
MESSAGES = [*RECORDED, *map(indefinite, RECORDED)]
ENVELOPES = [
    *(envelope for vector in RECORDED if (envelope := decode(vector).message.pkcs_pki_envelope)),
    seal_envelope(b"content", Password(b"sesame", 1), ContentCipher.AES_256_GCM, counted),
]
SIGNED = {decode(vector).signer_info.signed_attributes_der for vector in RECORDED}
KEYS = [recipient_key(recorded_ra_key(), RECORDED_RA)]


@given(damaged(MESSAGES))
def test_a_damaged_message_is_refused(data: bytes) -> None:
    with suppress(DecodeError):
        received = decode(data)
        if received.signer_info.signed_attributes_der not in SIGNED:
            with pytest.raises(PKIMessageRefused):
                verify(received, EVERYTHING)
        signer = signer_with(ec_key(), certificate_of(ec_key(), "device"), hashes.SHA256())
        assert decode(result_of(signer.sign(received.message))).message == received.message


@given(st.binary(max_size=300) | damaged(ENVELOPES))
def test_bytes_are_an_envelope_that_opens_or_an_error(data: bytes) -> None:
    passwords = SharedPasswords([b"sesame"], at_once)
    with suppress(PKIMessageRefused):
        result_of(open_envelope(data, KEYS, EVERYTHING, random_bytes=counted, passwords=passwords))
