"""Signing responses with the key of a delegated responder (RFC 6960, 4.2.2.2)."""

from __future__ import annotations

from typing import cast

from cryptography import x509

from cspd.authority.responders import Responder
from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.keys.values import PublicKey
from cspd.refusals import NotFound, Unavailable
from protocols.ocsp import codec
from protocols.ocsp.issuers import key_hash
from protocols.ocsp.messages import ResponseData


class ResponseSigner:
    """Signs with one responder; everything that its responses have in common is encoded once."""

    def __init__(self, responder: Responder, keys: Keys) -> None:
        public_key = x509.load_der_x509_certificate(responder.certificate_der).public_key()
        self.responder = responder
        self.responder_key_hash = key_hash(responder.certificate_der)
        self._signer = Signer(keys, responder.key, cast(PublicKey, public_key))
        self._certs_der = codec.encode_certs(responder.certificate_der)

    async def sign(self, response_data: ResponseData) -> bytes:
        """Sign and give the whole OCSPResponse, DER.

        Raises :class:`Unavailable` when the key cannot be used now.
        """
        response_data_der = codec.encode_response_data(response_data)
        try:
            signature = await self._signer.sign(response_data_der)
        except NotFound as error:  # not the client's mistake, as a NotFound would say to it
            raise Unavailable("the responder has no key", detail=str(error)) from error
        return codec.encode_successful(
            response_data_der, signature, algorithm_der=self._signer.algorithm_der, certs_der=self._certs_der
        )
