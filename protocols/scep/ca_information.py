"""What anybody may ask of a CA: GetCACaps, GetCACert, GetNextCACert (RFC 8894, 3.5, 4.2 and 4.7)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

from cspd.authority.interfaces import Authorities
from cspd.authority.values import CAReference
from cspd.refusals import NotFound
from protocols.scep.ca_certificates import encode_ca_certificates, encode_next_ca_certificates
from protocols.scep.capabilities import capabilities_of, encode_capabilities
from protocols.scep.interfaces import RegistrationAuthorities, Terms
from protocols.scep.transport import CAPABILITIES, X509_NEXT_CA_CERT


class CAInformation:
    """The answers, a media type and a body each; NotFound for a CA that nobody speaks for, and Unavailable."""

    def __init__(self, *, authorities: Authorities, registration_authorities: RegistrationAuthorities) -> None:
        self._authorities = authorities
        self._registration_authorities = registration_authorities

    async def capabilities(self, terms: Terms) -> tuple[str, bytes]:
        """What messages may have here, and what else is answered."""
        await self._registration_authorities.of(terms.ca)
        able = capabilities_of(terms.policy, has_next_ca=terms.next_ca is not None)
        return CAPABILITIES, encode_capabilities(able)

    async def certificates(self, terms: Terms) -> tuple[str, bytes]:
        """The certificates of the registration authority, the CA, and those above it."""
        registration_authority = await self._registration_authorities.of(terms.ca)
        return encode_ca_certificates(registration_authority.certificates_der)

    async def next_certificates(self, terms: Terms) -> tuple[str, bytes]:
        """Those of the CA that follows, signed by who speaks for this one; raises NotFound where none follows."""
        registration_authority = await self._registration_authorities.of(terms.ca)
        if terms.next_ca is None:
            raise NotFound("no CA follows this one")
        certificates_der = await self._of(terms.next_ca)
        signer = registration_authority.signer(hashes.SHA256())
        return X509_NEXT_CA_CERT, await encode_next_ca_certificates(certificates_der, signer)

    async def _of(self, ca: CAReference) -> tuple[bytes, ...]:
        """With the certificates of who speaks for the CA, if it is served already."""
        try:
            return (await self._registration_authorities.of(ca)).certificates_der
        except NotFound:
            authority = await self._authorities.get(ca)
        if authority.certificate_der is None:
            raise NotFound("the CA that follows has no certificate yet")
        return (authority.certificate_der, *authority.chain_der)
