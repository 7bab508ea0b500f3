"""Messages of the Certificate Management Protocol that somebody else changed, and secrets that cost too much.

``corpus/cmp`` has what ``openssl cmp`` and its mock server said to each other; ``make.sh`` there makes it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm
from protocols.cmp.codec import DecodeError, decode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import check_first, check_signer, protection_certificate, require_protection
from protocols.cmp.mac_algorithms import DEFAULT_MAC_POLICY, PBMAC1MAC, PasswordBasedMAC, read_mac_algorithm
from protocols.cmp.messages import PKIMessage
from protocols.cmp.protection import ProtectionKind, protection_kind, verify_mac, verify_message_signature
from protocols.cmp.status import PKIFailureInfo
from tests.fuzz.any_bytes import FEW_ITERATIONS, NOW, SECRET, mac_parameters
from tests.fuzz.mutation import damaged
from tests.protocols.cmp.vectors import VECTORS

PROTECTED = {decode(vector).protected_part_der for vector in VECTORS.values()}
HMACS = tuple(Algorithm(f"1.2.840.113549.2.{number}", tlv.NULL) for number in (7, 8, 9, 10, 11))
HASHES = tuple(Algorithm(f"2.16.840.1.101.3.4.2.{number}") for number in (1, 2, 3, 4))


def _verify(message: PKIMessage) -> None:
    """What the service does before it looks at a message."""
    with suppress(PKIMessageRejected):
        check_first(message, NOW)
    require_protection(message)
    algorithm = message.header.protection_alg
    if algorithm is not None and protection_kind(message.header) is ProtectionKind.MAC:
        verify_mac(message, read_mac_algorithm(algorithm, FEW_ITERATIONS).derive(SECRET))
    else:
        certificate = protection_certificate(message)
        check_signer(message.header, certificate)
        verify_message_signature(message, certificate)


@given(damaged(list(VECTORS.values())))
def test_a_damaged_message_is_refused(data: bytes) -> None:
    with suppress(DecodeError):
        message = decode(data)
        if message.protected_part_der not in PROTECTED:
            with pytest.raises(PKIMessageRejected):
                _verify(message)
        else:
            with suppress(PKIMessageRejected):
                _verify(message)


counts = st.integers(0, 2 * DEFAULT_MAC_POLICY.max_iterations) | st.integers(0, 2**170)
macs = st.builds(
    PasswordBasedMAC, st.binary(max_size=200), counts, st.sampled_from(HASHES), st.sampled_from(HMACS)
) | st.builds(
    PBMAC1MAC,
    st.binary(max_size=200),
    counts,
    st.none() | st.integers(1, 200),
    st.sampled_from(HMACS),
    st.sampled_from(HMACS),
)


@given(macs)
def test_no_parameters_cost_more_than_the_policy_allows(mac: PasswordBasedMAC | PBMAC1MAC) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "pbkdf2_hmac", None)  # whoever derives a key to read parameters stumbles here
        mac_parameters(mac.algorithm.parameters_der)
        if not DEFAULT_MAC_POLICY.min_iterations <= mac.rounds <= DEFAULT_MAC_POLICY.max_iterations:
            with pytest.raises(PKIMessageRejected) as raised:
                read_mac_algorithm(mac.algorithm)
            assert raised.value.fail_info in (PKIFailureInfo.BAD_ALG, PKIFailureInfo.BAD_DATA_FORMAT)
