"""Which algorithms a client may use: what is sound, and by a switch each what old devices need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives import hashes

from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.enveloped import EnvelopedContent
from cspd.x509.cms.values import CMSError, SignerInfo
from cspd.x509.csr import CertificationRequest
from cspd.x509.signatures import SignatureError, hash_of, signature_hash_of
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.messages import FailInfo

T = TypeVar("T")

# Ciphers that RFC 8894, 2.9 wants, with the longer keys of the same family, and GCM for who offers it.
_SOUND = frozenset(cipher for cipher in ContentCipher if not cipher.is_obsolete)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmPolicy:
    """The switches; off, they leave AES and SHA-2."""

    allow_sha1: bool = False
    allow_des3: bool = False
    allow_des: bool = False

    @property
    def ciphers(self) -> frozenset[ContentCipher]:
        """Ciphers of the content."""
        des3 = {ContentCipher.DES_EDE3_CBC} if self.allow_des3 else set()
        des = {ContentCipher.DES_CBC} if self.allow_des else set()
        return _SOUND | des3 | des

    def check_signature(self, signer: SignerInfo) -> hashes.HashAlgorithm:
        """The digest of a message, which its answer has too; raises :class:`PKIMessageRefused` (badAlg)."""
        digest = _known(lambda: hash_of(signer.digest_algorithm))
        signed = _known(lambda: signature_hash_of(signer.signature_algorithm, digest))
        if not self.allow_sha1 and (isinstance(digest, hashes.SHA1) or isinstance(signed, hashes.SHA1)):
            raise PKIMessageRefused(FailInfo.BAD_ALG, "SHA-1 is not allowed here")
        return digest

    def check_request(self, csr: CertificationRequest) -> None:
        """Whether the request in a message may be signed as it is; raises :class:`PKIMessageRefused` (badAlg)."""
        if csr.is_signed_with_sha1 and not self.allow_sha1:
            raise PKIMessageRefused(FailInfo.BAD_ALG, "a request that is signed with SHA-1 is not allowed here")

    def check_cipher(self, enveloped: EnvelopedContent) -> ContentCipher:
        """The cipher of a message, which its answer has too; raises :class:`PKIMessageRefused` (badAlg)."""
        cipher = _known(lambda: enveloped.cipher)
        if cipher not in self.ciphers:
            raise PKIMessageRefused(FailInfo.BAD_ALG, f"{cipher.name} is not allowed here")
        return cipher


def _known(find: Callable[[], T]) -> T:
    try:
        return find()
    except (CMSError, SignatureError) as error:
        raise PKIMessageRefused(FailInfo.BAD_ALG, str(error)) from error
