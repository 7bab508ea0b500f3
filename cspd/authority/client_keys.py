"""Keys that are made here for clients: made in a thread, signed by a CA, encrypted for one recipient, then forgotten.

::

    key = await client_keys.generate(KeyType.EC_P256)
    ...                                                     its certificate is issued
    enveloped_der = await client_keys.seal(key, authority, recipient, with_public_key=True)

What is sealed is EnvelopedData(SignedData(AsymmetricKeyPackage)), as RFC 7030, 4.4.2 and RFC 9483, 4.1.6 have it. The
CA itself is the key generation authority, for which its certificate needs no id-kp-cmKGA (RFC 9480, 2.2), unless
somebody else is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import Authority
from cspd.keys.generation import generate_private_key
from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.keys.threads import SigningPool
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import Conflict
from cspd.x509.algorithms import signature_hash
from cspd.x509.asymmetric_key_package import KEY_PACKAGE, encode_key_package, one_asymmetric_key
from cspd.x509.cms.content_encryption import ContentCipher, RandomBytes
from cspd.x509.cms.enveloped import encode_enveloped
from cspd.x509.cms.recipients import Recipient
from cspd.x509.cms.signing import SignedDataBuilder
from cspd.x509.cms.values import SIGNED_DATA
from cspd.x509.identifiers import subject_key_identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGenerationAuthority:
    """Who signs the keys that are made for clients."""

    certificate_der: bytes
    key: KeyReference
    chain_der: tuple[bytes, ...]
    """The issuers of the certificate."""


class ClientKeys:
    """Makes and seals keys; keeps none."""

    def __init__(self, *, keys: Keys, random_bytes: RandomBytes, pool: SigningPool) -> None:
        """``random_bytes`` is cryptographically strong; ``pool`` runs what takes up to seconds."""
        self._keys = keys
        self._random_bytes = random_bytes
        self._pool = pool

    async def generate(self, key_type: KeyType) -> PrivateKey:
        """A new key; raises Unavailable while too many are waited for."""
        return await self._pool.run(partial(generate_private_key, key_type))

    async def seal(
        self,
        key: PrivateKey,
        authority: Authority,
        recipient: Recipient,
        *,
        with_public_key: bool,
        cipher: ContentCipher = ContentCipher.AES_256_CBC,
        signed_by: KeyGenerationAuthority | None = None,
    ) -> bytes:
        """The key, signed by the CA or ``signed_by``, and encrypted for the recipient: a bare EnvelopedData, DER.

        ``with_public_key`` makes the key one of version 2 (RFC 5958); ``cipher`` is not an authenticated one. Raises
        Conflict for a CA that has no key here, and Unavailable.
        """
        package_der = encode_key_package([one_asymmetric_key(key, with_public_key=with_public_key)])
        signed_der = await self._sign(package_der, _itself(authority) if signed_by is None else signed_by)
        # A password is stretched to a key, which takes a thread many milliseconds.
        _, enveloped_der = await self._pool.run(
            partial(
                encode_enveloped,
                signed_der,
                [recipient],
                random_bytes=self._random_bytes,
                cipher=cipher,
                content_type=SIGNED_DATA,
            )
        )
        return enveloped_der

    async def _sign(self, package_der: bytes, signed_by: KeyGenerationAuthority) -> bytes:
        certificate = x509.load_der_x509_certificate(signed_by.certificate_der)
        public_key = certificate.public_key()
        signer = Signer(self._keys, signed_by.key, public_key)  # type: ignore[arg-type]  # the key is one that signs
        signing = SignedDataBuilder(
            signed_by.certificate_der,
            signature_hash(public_key) or hashes.SHA512(),
            signer.algorithm_der,
            key_identifier=_key_identifier(certificate),
        )
        attributes_der = signing.signed_attributes(KEY_PACKAGE, package_der)
        signature = await signer.sign(attributes_der)
        return signing.signed_data(
            KEY_PACKAGE, package_der, attributes_der, signature, _without_root(signed_by.chain_der)
        )


def _itself(authority: Authority) -> KeyGenerationAuthority:
    if authority.certificate_der is None or authority.key is None:
        raise Conflict("the CA has no key to sign the keys of clients with")
    return KeyGenerationAuthority(
        certificate_der=authority.certificate_der, key=authority.key, chain_der=tuple(authority.chain_der)
    )


def _without_root(chain_der: Sequence[bytes]) -> list[bytes]:
    """The issuers without the root, which nobody may trust because it comes along (RFC 9483, 4.1.6)."""
    chain = [x509.load_der_x509_certificate(each) for each in chain_der]
    return [each.public_bytes(Encoding.DER) for each in chain if each.subject != each.issuer]


def _key_identifier(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return subject_key_identifier(certificate.public_key())
