"""Whether who asks for a certificate has the private key (RFC 9810, 5.2.8; RFC 4211, 4)."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from enum import Enum

from cryptography import x509

from cspd.refusals import BadProofOfPossession, BadPublicKey
from cspd.x509 import tlv
from cspd.x509.crmf.messages import (
    CertReqMsg,
    KeyAgreement,
    KeyEncipherment,
    PKMACValue,
    POPOSigningKey,
    RAVerified,
    SubsequentMessage,
)
from cspd.x509.crmf.possession import ProofOfPossessionError, VerifyMAC, verify_signature_popo
from cspd.x509.cursor import Cursor
from cspd.x509.public_keys import PublicKeyError
from cspd.x509.signatures import Algorithm
from protocols.cmp.interfaces import EncryptedCertificates, Sender, Terms
from protocols.cmp.mac_algorithms import MACKey

DeriveMACKey = Callable[[bytes, Algorithm, str], Awaitable[MACKey]]
"""The key of a secret for a MAC algorithm, by the rules of a name, made in a thread; raises ``badAlg``."""


class Proof(Enum):
    """How possession of a key is proved."""

    GIVEN = "given"
    """By the request, or by the word of a registration authority."""
    BY_CERTIFICATE = "by-certificate"
    """By confirming the certificate, which is encrypted for the key."""
    KEY_MADE_HERE = "key-made-here"
    """There is no key yet: the client asks us to make it."""


class Possession:
    """Checks the proofs in requests."""

    def __init__(self, *, encrypted_certificates: EncryptedCertificates, derive: DeriveMACKey) -> None:
        self._encrypted_certificates = encrypted_certificates
        self._derive = derive

    async def check(
        self,
        message: CertReqMsg,
        sender: Sender,
        terms: Terms,
        *,
        is_vouched_for: bool,
        is_challenge_met: bool,
        pvno: int,
    ) -> Proof:
        """How the proof is given; raises BadProofOfPossession, BadPublicKey.

        ``is_vouched_for``: a registration authority says that it has verified the possession, if the request says so;
        ``is_challenge_met``: the client has decrypted what was encrypted for the key; ``pvno`` is that of the message.
        """
        public_key_der = message.cert_req.cert_template.public_key_der
        match message.popo:
            case None if public_key_der is None or _has_no_key(public_key_der):
                return Proof.KEY_MADE_HERE
            case RAVerified():
                if not is_vouched_for:
                    raise BadProofOfPossession("raVerified is for registration authorities to say")
                return Proof.GIVEN
            case POPOSigningKey():
                await self._check_signature(message, sender, terms)
                return Proof.GIVEN
            case KeyEncipherment(SubsequentMessage.ENCR_CERT) | KeyAgreement(SubsequentMessage.ENCR_CERT):
                if public_key_der is None:
                    raise BadPublicKey("the request names no public key")
                self._encrypted_certificates.check(public_key_der, pvno=pvno)
                return Proof.BY_CERTIFICATE
            case KeyEncipherment(SubsequentMessage.CHALLENGE_RESP) | KeyAgreement(SubsequentMessage.CHALLENGE_RESP):
                if is_challenge_met:
                    return Proof.GIVEN
        raise BadProofOfPossession("possession is proved by a signature, or by decryption")

    async def _check_signature(self, message: CertReqMsg, sender: Sender, terms: Terms) -> None:
        name = None if sender.certificate is None else x509.DirectoryName(sender.certificate.subject)
        verify_mac = await self._verifier(message, sender, terms)
        try:
            verify_signature_popo(message, sender=name, verify_mac=verify_mac)
        except ProofOfPossessionError as error:
            raise BadProofOfPossession(str(error)) from error
        except PublicKeyError as error:
            raise BadPublicKey(str(error)) from error

    async def _verifier(self, message: CertReqMsg, sender: Sender, terms: Terms) -> VerifyMAC | None:
        """What verifies a publicKeyMAC; None where there is no such MAC, or no secret for it."""
        popo = message.popo
        assert isinstance(popo, POPOSigningKey)
        mac = None if popo.poposk_input is None else popo.poposk_input.auth_info
        if not isinstance(mac, PKMACValue) or sender.password is None:
            return None
        key = await self._derive(sender.password, mac.algorithm, terms.rules)

        def verify(value: PKMACValue, octets: bytes) -> None:
            if not hmac.compare_digest(key.mac(octets), value.value):
                raise ProofOfPossessionError("the MAC over the public key does not fit")

        return verify


def _has_no_key(public_key_der: bytes) -> bool:
    """Whether the SubjectPublicKeyInfo has an empty BIT STRING (RFC 9483, 4.1.6)."""
    info = Cursor.over(public_key_der).enter(tlv.SEQUENCE)
    info.element()
    return info.contents(tlv.BIT_STRING) == b"\x00"
