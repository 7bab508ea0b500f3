"""fullcmc over HTTP (RFC 7030, 4.3; RFC 5273, 3)."""

from __future__ import annotations

from cspd.authority.approvals import ApprovalTerms
from cspd.authority.values import Requester
from cspd.http.message import Response
from cspd.x509.cmc.messages import CMCStatus
from protocols.est.authentication import Authentication
from protocols.est.cmc_service import Circumstances, CMCService
from protocols.est.codec import decode_request, encode_base64
from protocols.est.messages import Client, Terms

MEDIA_TYPE = "application/pkcs7-mime"


class FullCMC:
    """Answers a full PKI request that came by HTTP.

    A client may show who it is by a password as in simpleenroll; without one the message has to say it, so that nobody
    is asked for a password here.
    """

    def __init__(self, service: CMCService, authentication: Authentication) -> None:
        self._service = service
        self._authentication = authentication

    async def answer(self, body: bytes, client: Client, terms: Terms) -> Response:
        """The response, signed, with 200 unless a part of the request failed (RFC 7030, 4.3.2); raises refusals."""
        identity = known = None
        if client.credentials is not None and terms.passwords:
            known = await self._authentication.authenticate(client, terms)
            identity = Requester(
                protocol="est", identity=known.name, address=client.address, request_id=client.request_id
            )
        approval = None
        if terms.approval:
            approval = ApprovalTerms(retry_after=terms.retry_after, lifetime=terms.approval_lifetime)
        circumstances = Circumstances(
            identity=identity,
            recorded=None if known is None else known.recorded,
            kept_with=None if known is None else known.kept_with,
            address=client.address,
            request_id=client.request_id,
            renewal=terms.certificate,
            approval=approval,
        )
        response = await self._service.respond(terms.ca, terms.profile, decode_request(body), circumstances)
        headers = (
            (b"content-type", b"application/pkcs7-mime; smime-type=CMC-response"),
            (b"cache-control", b"no-store"),
            (b"content-transfer-encoding", b"base64"),
        )
        status = 400 if response.status is CMCStatus.FAILED else 200
        return Response(status, encode_base64(response.response_der), headers)
