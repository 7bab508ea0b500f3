"""Key identifiers."""

from __future__ import annotations

from hashlib import sha256

import pytest
from asn1crypto.core import Sequence
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509.identifiers import subject_key_identifier


@pytest.mark.requirement("R-PRO-017")
@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_the_key_identifier_is_rfc_7093_method_1(key: ec.EllipticCurvePrivateKey) -> None:
    """Another parser finds the bit string that is hashed."""
    public_key = key.public_key()
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bit_string = Sequence.load(encoded)[1].contents[1:]
    assert subject_key_identifier(public_key) == sha256(bit_string).digest()[:20]
