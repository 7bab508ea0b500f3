"""Who answers, and how a client sees that it was us (RFC 9483, 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from cryptography import x509

from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority
from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.keys.values import KeyReference, PublicKey
from cspd.refusals import Unavailable
from cspd.x509.identifiers import subject_key_identifier
from protocols.cmp.codec import assemble
from protocols.cmp.general_names import directory_name
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import PKIBody, PKIHeader
from protocols.cmp.protection import protect_by_mac, protected_part_for


class ProtectedAnswers:
    """Implements :class:`protocols.cmp.interfaces.AnswerProtection`.

    A CA without a certificate, or without a key here, answers nobody: Unavailable.
    """

    def __init__(self, *, authorities: Authorities, keys: Keys) -> None:
        self._authorities = authorities
        self._keys = keys
        self._signers: dict[KeyReference, Signer] = {}

    async def header_names(self, terms: Terms, sender: Sender | None) -> tuple[bytes, bytes | None]:
        """See :class:`protocols.cmp.interfaces.AnswerProtection`."""
        authority = await self._authorities.get(terms.ca)
        name_der = directory_name(authority.subject)
        if sender is not None and sender.mac_key is not None and sender.secret is not None:
            return name_der, sender.secret.reference.encode("ascii")
        certificate, _ = _certified(authority)
        return name_der, _key_identifier(certificate)

    async def protect(
        self,
        header: PKIHeader,
        body: PKIBody,
        *,
        terms: Terms,
        sender: Sender | None,
        extra_certs_der: Sequence[bytes] = (),
    ) -> bytes:
        """See :class:`protocols.cmp.interfaces.AnswerProtection`; certificates in extraCerts are there once."""
        authority = await self._authorities.get(terms.ca)
        certificate, certificate_der = _certified(authority)
        extra_certs_der = tuple(dict.fromkeys((certificate_der, *authority.chain_der, *extra_certs_der)))
        if sender is not None and sender.mac_key is not None:
            return protect_by_mac(header, body, sender.mac_key, extra_certs_der)
        signer = self._signer(authority, certificate)
        protected_part_der = protected_part_for(header, body, signer.algorithm_der)
        return assemble(protected_part_der, await signer.sign(protected_part_der), extra_certs_der)

    def _signer(self, authority: Authority, certificate: x509.Certificate) -> Signer:
        if authority.key is None:
            raise Unavailable("the CA has no key here to sign answers with")
        signer = self._signers.get(authority.key)
        if signer is None:
            signer = Signer(self._keys, authority.key, cast(PublicKey, certificate.public_key()))
            self._signers[authority.key] = signer
        return signer


def _certified(authority: Authority) -> tuple[x509.Certificate, bytes]:
    if authority.certificate is None or authority.certificate_der is None:
        raise Unavailable(f"{authority.reference} has no certificate yet")
    return authority.certificate, authority.certificate_der


def _key_identifier(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return subject_key_identifier(certificate.public_key())
