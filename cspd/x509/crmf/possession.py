"""Proof of possession by signature (RFC 4211, 4.1)."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from cspd.x509.crmf.encoding import encode_cert_request, encode_poposk_input
from cspd.x509.crmf.messages import CertReqMsg, PKMACValue, POPOSigningKey, POPOSigningKeyInput
from cspd.x509.public_keys import PublicKeyError, load_public_key
from cspd.x509.signatures import SignatureError, verify_signature


class ProofOfPossessionError(ValueError):
    """The message does not show that its sender holds the private key."""


VerifyMAC = Callable[[PKMACValue, bytes], None]
"""Verifies a MAC over octets by the secret shared with the sender; raises ProofOfPossessionError unless it fits."""


def verify_signature_popo(
    message: CertReqMsg, *, sender: x509.GeneralName | None = None, verify_mac: VerifyMAC | None = None
) -> None:
    """Verify the signature of a request by the key it asks a certificate for (RFC 4211, 4.1).

    It is over the CertRequest, whose template then has subject and public key, or over a POPOSigningKeyInput, which
    repeats the key and binds it to who sends: to ``sender``, the name that the protocol has authenticated, or, where
    there is no such name yet, to a secret that ``verify_mac`` knows. Without these such a message is refused.

    Raises :class:`ProofOfPossessionError` for a message without such a proof and for one that does not fit, and
    :class:`cspd.x509.public_keys.PublicKeyError` for a key that cannot be read.
    """
    popo, template = message.popo, message.cert_req.cert_template
    if not isinstance(popo, POPOSigningKey):
        raise ProofOfPossessionError("the request has no signature by its key")
    if template.public_key_der is None:
        raise ProofOfPossessionError("the request names no public key")
    if popo.poposk_input is not None:
        _check_input(popo.poposk_input, template.public_key_der, sender, verify_mac)
        octets = popo.poposk_input.encoded or encode_poposk_input(popo.poposk_input)
    elif template.subject is None:
        raise ProofOfPossessionError("a request without subject needs a POPOSigningKeyInput")
    else:
        octets = message.cert_req.encoded or encode_cert_request(message.cert_req)
    public_key = load_public_key(template.public_key_der)
    try:
        # SHA-1: a proof of possession does not suffer from collisions; whoever can sign two requests holds the key.
        verify_signature(public_key, popo.algorithm, popo.signature, octets, allow_sha1=True)
    except SignatureError as error:
        raise ProofOfPossessionError(f"the request is not signed by the key it names: {error}") from error


def _check_input(
    poposk_input: POPOSigningKeyInput,
    public_key_der: bytes,
    sender: x509.GeneralName | None,
    verify_mac: VerifyMAC | None,
) -> None:
    if poposk_input.public_key_der != public_key_der:
        raise ProofOfPossessionError("what is signed names another key than the template")
    auth_info = poposk_input.auth_info
    if isinstance(auth_info, PKMACValue):
        if verify_mac is None:
            raise ProofOfPossessionError("there is no shared secret for the MAC over the public key")
        verify_mac(auth_info, public_key_der)
    elif sender is None or auth_info != sender:
        raise ProofOfPossessionError("what is signed names another sender than the one who was authenticated")


__all__ = ["ProofOfPossessionError", "PublicKeyError", "VerifyMAC", "verify_signature_popo"]
