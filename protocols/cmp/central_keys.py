"""Keys that are made here for clients (RFC 9483, 4.1.6).

::

    no publicKey, or one without a key -> a key that the profile allows    :meth:`ServerMadeKeys.generate`
    the key, for whoever sent          -> EnvelopedData in certifiedKeyPair :meth:`ServerMadeKeys.encrypt`
        signed with an RSA key         key transport, RSAES-OAEP            (4.1.6.2)
        signed with a key on a curve   key agreement, ECDH                  (4.1.6.1)
        protected by a secret          PBKDF2 of that secret                (4.1.6.3)

A message with an EnvelopedData is one of version 3 (RFC 9480, 2.20).
"""

from __future__ import annotations

from collections.abc import Mapping

from cspd.authority.client_keys import ClientKeys
from cspd.authority.interfaces import Authorities
from cspd.authority.profile_values import Profile
from cspd.keys.values import KeyType, PrivateKey
from cspd.refusals import BadPublicKey, Forbidden, NotFound
from cspd.x509 import tlv
from cspd.x509.cms.recipients import Password, Recipient, may_receive_keys, recipient_of
from cspd.x509.cms.values import CMSError
from cspd.x509.crmf.messages import CertTemplate, EncryptedKey
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, SignatureError, read_algorithm
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.key_generation_authorities import KeyGenerationAuthorities
from protocols.cmp.status import PKIFailureInfo

_PREFERENCE = (
    KeyType.EC_P256,
    KeyType.RSA_2048,
    KeyType.EC_P384,
    KeyType.RSA_3072,
    KeyType.EC_P521,
    KeyType.RSA_4096,
    KeyType.ED25519,
    KeyType.ED448,
    KeyType.ML_DSA_44,
    KeyType.ML_DSA_65,
    KeyType.ML_DSA_87,
)
"""For clients that leave it to us: what everybody can use, and of that what is small first."""

_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
_CURVES = {
    tlv.object_identifier("1.2.840.10045.3.1.7"): KeyType.EC_P256,
    tlv.object_identifier("1.3.132.0.34"): KeyType.EC_P384,
    tlv.object_identifier("1.3.132.0.35"): KeyType.EC_P521,
}
_OTHERS = {
    "1.3.101.112": KeyType.ED25519,
    "1.3.101.113": KeyType.ED448,
    "2.16.840.1.101.3.4.3.17": KeyType.ML_DSA_44,
    "2.16.840.1.101.3.4.3.18": KeyType.ML_DSA_65,
    "2.16.840.1.101.3.4.3.19": KeyType.ML_DSA_87,
}
_RSA = (KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096)
_NO_KEY = b"\x00"


class ServerMadeKeys:
    """Implements :class:`protocols.cmp.interfaces.CentralKeys`."""

    def __init__(
        self,
        *,
        authorities: Authorities,
        profiles: Mapping[str, Profile],
        client_keys: ClientKeys,
        key_generation_authorities: KeyGenerationAuthorities,
    ) -> None:
        self._authorities = authorities
        self._profiles = profiles
        self._client_keys = client_keys
        self._key_generation_authorities = key_generation_authorities

    async def generate(self, template: CertTemplate, terms: Terms) -> PrivateKey:
        """See :class:`protocols.cmp.interfaces.CentralKeys`.

        Raises :class:`protocols.cmp.errors.PKIMessageRejected` with badAlg for an algorithm that no key is made for.
        """
        if not terms.key_generation:
            raise Forbidden("keys are not made here")
        profile = self._profiles.get(terms.profile)
        if profile is None:
            raise NotFound(f"there is no profile {terms.profile}")
        wanted = _PREFERENCE if template.public_key_der is None else _key_types(template.public_key_der)
        for key_type in wanted:
            if key_type in profile.key_types:
                return await self._client_keys.generate(key_type)
        raise BadPublicKey(f"the profile {profile.id} has no key of that algorithm or size")

    async def encrypt(self, key: PrivateKey, sender: Sender, terms: Terms) -> EncryptedKey:
        """See :class:`protocols.cmp.interfaces.CentralKeys`."""
        recipient = recipient_for(sender)
        authority = await self._authorities.get(terms.ca)
        signed_by = await self._key_generation_authorities.of(terms.ca)
        return EncryptedKey(
            await self._client_keys.seal(key, authority, recipient, with_public_key=True, signed_by=signed_by)
        )


def recipient_for(sender: Sender) -> Recipient:
    """Who can open what is meant for the sender of a message; raises Forbidden for one who could not."""
    if sender.password is not None:
        return Password(sender.password)
    if sender.certificate is None:
        raise Forbidden("a key is encrypted for the certificate or the secret that protects the request")
    try:
        recipient = recipient_of(sender.certificate, oaep=True, by_key_identifier=True)
    except CMSError as error:
        raise Forbidden("the protection certificate has a key that nothing can be encrypted for") from error
    if not may_receive_keys(sender.certificate):
        raise Forbidden(
            "the keyUsage of the protection certificate allows neither keyEncipherment (RSA) nor keyAgreement (EC)"
        )
    return recipient


def _key_types(public_key_der: bytes) -> tuple[KeyType, ...]:
    """What a SubjectPublicKeyInfo without a key asks for."""
    try:
        whole = Cursor.over(public_key_der)
        info = whole.enter(tlv.SEQUENCE)
        algorithm, key = read_algorithm(info.element()), info.contents(tlv.BIT_STRING)
        info.finish()
        whole.finish()
    except (tlv.DERError, SignatureError) as error:
        raise BadPublicKey("the publicKey of the template cannot be read") from error
    if key != _NO_KEY:
        raise BadPublicKey("the template has a key already")
    return _key_types_of(algorithm)


def _key_types_of(algorithm: Algorithm) -> tuple[KeyType, ...]:
    if algorithm.oid == _RSA_ENCRYPTION:
        return _RSA
    if algorithm.oid == _EC_PUBLIC_KEY:
        curve = _CURVES.get(algorithm.parameters_der)
        return () if curve is None else (curve,)
    if algorithm.oid in _OTHERS:
        return (_OTHERS[algorithm.oid],)
    raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, f"no keys are made for the algorithm {algorithm.oid}")
