"""Registration authorities whose keys live as long as the process; for the time until there are others."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.interfaces import Authorities, Issuance
from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Requester
from cspd.x509 import tlv
from protocols.scep.codec import MessageSigner
from protocols.scep.envelope import RecipientKey
from protocols.scep.interfaces import RegistrationAuthority


class _Key:
    def __init__(self, key: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm) -> None:
        self._key = key
        self._digest = digest
        self.algorithm_der = tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.1"), tlv.NULL)

    async def sign(self, octets: bytes) -> bytes:
        return self._key.sign(octets, PKCS1v15(), self._digest)

    async def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes | None:
        try:
            return self._key.decrypt(encrypted_key, padding)
        except ValueError:
            return None


class TemporaryRegistrationAuthorities:
    """Implements :class:`protocols.scep.interfaces.RegistrationAuthorities`."""

    def __init__(self, *, authorities: Authorities, issuance: Issuance, profile: str) -> None:
        self._authorities = authorities
        self._issuance = issuance
        self._profile = profile
        self._known: dict[CAReference, RegistrationAuthority] = {}

    async def of(self, ca: CAReference) -> RegistrationAuthority:
        """See :class:`protocols.scep.interfaces.RegistrationAuthorities`."""
        if ca not in self._known:
            self._known[ca] = await self._make(ca)
        return self._known[ca]

    async def _make(self, ca: CAReference) -> RegistrationAuthority:
        authority = await self._authorities.get(ca)
        key = rsa.generate_private_key(65537, 2048)
        issued = await self._issuance.enroll(
            EnrollmentRequest(
                ca=ca,
                profile=self._profile,
                requester=Requester(protocol="scep", identity="registration authority"),
                public_key_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                subject=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{ca} SCEP RA")]),
            )
        )
        assert isinstance(issued, Issued)
        assert authority.certificate_der is not None
        certificate = x509.load_der_x509_certificate(issued.certificate_der)
        return RegistrationAuthority(
            certificates_der=(issued.certificate_der, *issued.chain_der),
            signing_certificate_der=issued.certificate_der,
            signer=lambda digest: MessageSigner(issued.certificate_der, _Key(key, digest), digest),
            recipients=(RecipientKey(certificate, _Key(key, hashes.SHA256())),),
        )
