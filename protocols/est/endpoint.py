"""EST over HTTP: paths, methods, media types, status codes (RFC 7030, 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random

from twisted.logger import Logger

from cspd.authentication.basic import basic_challenge, decode_authorization
from cspd.authority.values import Pending
from cspd.http.message import Handler, Request, Response, Route
from cspd.refusals import Refused
from protocols.est.cmc_endpoint import MEDIA_TYPE, FullCMC
from protocols.est.codec import (
    MAX_BODY,
    decode_revocation_form,
    encode_base64,
    encode_certificates,
    encode_generated_key,
    encode_pem,
)
from protocols.est.errors import CREDENTIALS_NEEDED, response_to, text_response
from protocols.est.labels import Labels
from protocols.est.messages import Certificates, Client, Terms
from protocols.est.service import ESTService

_BASE = "/.well-known/est"
_PREFIXES = (_BASE, _BASE + "/{label}", _BASE + "/{tenant}/{ca}/{profile}")
_FORM = "application/x-www-form-urlencoded"
_PKCS10 = "application/pkcs10"
_PEM_TYPES = ("application/pem-certificate-chain", "application/x-pem-file")
_DER_TYPE = "application/pkix-cert"
# Clients of RFC 7030 want to be told; those of RFC 8951 do not look.
_BASE64 = (b"content-transfer-encoding", b"base64")
_NO_STORE = (b"cache-control", b"no-store")
_CERTS_ONLY = b"application/pkcs7-mime; smime-type=certs-only"

Work = Callable[[Request, Terms], Awaitable[Response]]


class ESTEndpoint:
    """The routes below ``/.well-known/est``."""

    _log = Logger()

    def __init__(self, *, service: ESTService, full_cmc: FullCMC, labels: Labels, random: Random, realm: str) -> None:
        self._service = service
        self._full_cmc_service = full_cmc
        self._labels = labels
        self._random = random
        _, self._challenge = basic_challenge(realm)

    def routes(self) -> Sequence[Route]:
        """Every operation below every form of path (R-CEG-152)."""
        operations: tuple[tuple[str, str, Work], ...] = (
            ("GET", "cacerts", self._ca_certificates),
            ("GET", "csrattrs", self._csr_attributes),
            ("POST", "simpleenroll", self._enroll),
            ("POST", "simplereenroll", self._reenroll),
            ("POST", "serverkeygen", self._generate_key),
            ("POST", "fullcmc", self._full_cmc),
            ("GET", "crl", self._crl),
            ("POST", "revoke", self._revoke),
        )
        return tuple(
            Route(
                methods=(method,),
                path=f"{prefix}/{name}",
                handler=self._handler(work),
                max_body_bytes=MAX_BODY,
                refuse=text_response,
            )
            for prefix in _PREFIXES
            for method, name, work in operations
        )

    def _handler(self, work: Work) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                return await work(request, self._terms(request))
            except Refused as refusal:
                # A client that waits to be asked for its password has not failed (R-CEG-150).
                if refusal.refusal_code != CREDENTIALS_NEEDED:
                    self._log.warn(
                        "EST request {request_id} from {address} to {path} was refused: {reason}",
                        event="est-refused",
                        request_id=request.request_id,
                        address=request.peer,
                        path=request.path,
                        code=refusal.refusal_code,
                        reason=refusal.reason,
                        detail=refusal.detail,
                    )
                return response_to(refusal, challenge=self._challenge)

        return handle

    def _terms(self, request: Request) -> Terms:
        parameters = request.parameters
        if "tenant" in parameters:
            return self._labels.by_parts(parameters["tenant"], parameters["ca"], parameters["profile"])
        if "label" in parameters:
            return self._labels.by_label(parameters["label"])
        return self._labels.default()

    async def _ca_certificates(self, request: Request, terms: Terms) -> Response:
        answer = await self._service.ca_certificates(terms.ca)
        if _accepts(request, *_PEM_TYPES):
            return _response(_PEM_TYPES[0].encode(), encode_pem(answer))
        return _response(_CERTS_ONLY, encode_certificates(answer), _BASE64)

    async def _csr_attributes(self, request: Request, terms: Terms) -> Response:
        attributes_der = await self._service.csr_attributes(terms)
        if attributes_der is None:
            return Response(204, b"", (_NO_STORE,))
        return _response(b"application/csrattrs", encode_base64(attributes_der), _BASE64)

    async def _enroll(self, request: Request, terms: Terms) -> Response:
        return await self._certificate(request, terms, self._service.enroll)

    async def _reenroll(self, request: Request, terms: Terms) -> Response:
        return await self._certificate(request, terms, self._service.reenroll)

    async def _certificate(
        self,
        request: Request,
        terms: Terms,
        operation: Callable[[bytes, Client, Terms], Awaitable[Certificates | Pending]],
    ) -> Response:
        if request.content_type != _PKCS10:
            return text_response(415, f"POST an {_PKCS10}.")
        answer = await operation(request.body, _client(request), terms)
        if isinstance(answer, Pending):
            retry_after = b"%d" % max(1, round(answer.retry_after.total_seconds()))
            sentence = f"The request {answer.request_id} waits for an approval; send it again later."
            return text_response(202, sentence, (b"retry-after", retry_after))
        if _accepts(request, *_PEM_TYPES):
            return _response(_PEM_TYPES[0].encode(), encode_pem(answer))
        [issued, *_] = answer.certificates_der
        if _accepts(request, _DER_TYPE):
            return _response(_DER_TYPE.encode(), issued)
        return _response(_CERTS_ONLY, encode_certificates(Certificates(certificates_der=(issued,))), _BASE64)

    async def _crl(self, request: Request, terms: Terms) -> Response:
        return _response(b"application/pkix-crl", await self._service.crl(terms.ca))

    async def _revoke(self, request: Request, terms: Terms) -> Response:
        if request.body and request.content_type != _FORM:
            return text_response(415, f"POST nothing, or an {_FORM}.")
        await self._service.revoke(decode_revocation_form(request.body), _client(request), terms)
        return text_response(200, "The certificate is revoked.")

    async def _generate_key(self, request: Request, terms: Terms) -> Response:
        if request.content_type != _PKCS10:
            return text_response(415, f"POST an {_PKCS10}.")
        answer = await self._service.generate_key(request.body, _client(request), terms)
        boundary = b"est-%032x" % self._random.getrandbits(128)
        media_type = b"multipart/mixed; boundary=" + boundary
        return _response(media_type, encode_generated_key(answer, boundary))

    async def _full_cmc(self, request: Request, terms: Terms) -> Response:
        if request.content_type != MEDIA_TYPE:
            return text_response(415, f"POST an {MEDIA_TYPE}.")
        return await self._full_cmc_service.answer(request.body, _client(request), terms)


def _client(request: Request) -> Client:
    return Client(
        certificate_der=request.client_certificate,
        chain_der=request.client_chain,
        credentials=decode_authorization(request.header(b"authorization")),
        channel_bindings=request.channel_bindings,
        address=request.peer,
        request_id=request.request_id,
    )


def _accepts(request: Request, *media_types: str) -> bool:
    """Whether a client names one of the types; who names none, or any, gets what the RFC has."""
    accept = request.header(b"accept") or ""
    return any(part.split(";", 1)[0].strip().lower() in media_types for part in accept.split(","))


def _response(media_type: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> Response:
    return Response(200, body, ((b"content-type", media_type), _NO_STORE, *headers))
