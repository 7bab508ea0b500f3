"""ACME over HTTP: paths, methods, media types, headers (RFC 8555, 6 and 7)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from cspd.authority.values import Requester
from cspd.http.message import Request, Response, Route
from cspd.refusals import NotFound, Refused
from protocols.acme.accounts import Accounts
from protocols.acme.authentication import Authentication, SignedByAccount, SignedByKey
from protocols.acme.authorizations import Authorizations
from protocols.acme.codec import (
    decode_account_update,
    decode_authorization_update,
    decode_challenge_response,
    decode_finalize,
    decode_new_account,
    decode_new_order,
    decode_revoke_cert,
    encode_account,
    encode_authorization,
    encode_challenge,
    encode_order,
)
from protocols.acme.directories import Directories, Directory, encode_directory
from protocols.acme.download import Download
from protocols.acme.errors import ACMEError, ErrorType, from_refusal, internal_error
from protocols.acme.finalization import Finalization
from protocols.acme.json_text import encode_json, malformed
from protocols.acme.messages import MAX_JWS
from protocols.acme.nonces import Nonces
from protocols.acme.objects import Order
from protocols.acme.orders import Orders
from protocols.acme.revocation import CertificateRevocation
from protocols.acme.states import ChallengeStatus, OrderStatus
from protocols.acme.urls import PREFIX

JSON = b"application/json"
JOSE = "application/jose+json"
PROBLEM = b"application/problem+json"
PEM_CHAIN = b"application/pem-certificate-chain"

RETRY_AFTER = b"1"
"""Seconds until a client asks again for what is pending here; most of it is done by then."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A serial number in a URL, as DirectoryURLs writes it.
_SERIAL = re.compile(r"[0-9a-f]{1,40}")

Headers = tuple[tuple[bytes, bytes], ...]
Work = Callable[[Directory, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The services behind the paths."""

    directories: Directories
    nonces: Nonces
    authentication: Authentication
    accounts: Accounts
    orders: Orders
    authorizations: Authorizations
    finalization: Finalization
    download: Download
    revocation: CertificateRevocation


class ACMEEndpoint:
    """Answers the HTTP requests of ACME clients."""

    _log = Logger()

    def __init__(self, resources: Resources, *, public_https: str, max_identifiers: int) -> None:
        self._services = resources
        self._public_https = public_https
        self._max_identifiers = max_identifiers

    def routes(self) -> tuple[Route, ...]:
        """Every path; a method it does not have gets 405 and a problem document (RFC 8555, 6.3)."""
        gets: Mapping[str, Work] = {"directory": self._directory, "new-nonce": self._new_nonce}
        posts: Mapping[str, Work] = {
            "new-account": self._new_account,
            "account/{account}": self._account,
            "new-order": self._new_order,
            "order/{order}": self._order,
            "order/{order}/finalize": self._finalize,
            "authorization/{authorization}": self._authorization,
            "challenge/{challenge}": self._challenge,
            "certificate/{serial}": self._certificate,
            "revoke-cert": self._revoke_cert,
            "key-change": self._key_change,
        }
        return tuple(
            Route(
                methods=_METHODS,
                path=f"{PREFIX}/{path}",
                handler=self._handler(work, method),
                max_body_bytes=MAX_JWS,
                refuse=_refused_by_the_server,
            )
            for works, method in ((gets, "GET"), (posts, "POST"))
            for path, work in works.items()
        )

    def _handler(self, work: Work, method: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            return await self._answer(request, work, method)

        return handle

    async def _answer(self, request: Request, work: Work, method: str) -> Response:
        """What every request needs: transport, directory, method, media type, errors, nonce and link headers."""
        directory: Directory | None = None
        try:
            if not request.is_secure:
                raise ACMEError(ErrorType.MALFORMED, "ACME is served over TLS only (RFC 8555, 6.1)", status=403)
            directory = await self._services.directories.find(
                request.parameters["tenant"], request.parameters["ca"], request.parameters["profile"]
            )
            _require_method(request, method)
            response = await work(directory, request)
        except ACMEError as error:
            response = _problem(error)
        except Refused as refusal:
            self._log.info(
                "{request_id}: refused: {reason} {detail}",
                request_id=request.request_id,
                reason=refusal.reason,
                detail=refusal.detail,
            )
            response = _problem(from_refusal(refusal))
        except CancelledError:  # the client is gone
            raise
        except Exception:
            self._log.failure("{request_id}: unexpected", request_id=request.request_id)
            response = _problem(internal_error(request.request_id))
        return await self._with_common_headers(request, response, directory)

    async def _with_common_headers(self, request: Request, response: Response, directory: Directory | None) -> Response:
        headers: list[tuple[bytes, bytes]] = [*response.headers, (b"cache-control", b"no-store")]
        if directory is not None:
            headers.append((b"link", _link(directory.urls.directory, "index")))
        try:
            headers.append((b"replay-nonce", (await self._services.nonces.make()).encode("ascii")))
        except Refused as refusal:  # the store is away, and with it the key of nonces
            self._log.warn("{request_id}: no nonce: {reason}", request_id=request.request_id, reason=refusal.reason)
        return Response(response.status, response.body, tuple(headers))

    # Resources, in the order of RFC 8555, 7

    async def _directory(self, directory: Directory, request: Request) -> Response:
        await self._check_read(directory, request)
        return _json(200, encode_directory(directory))

    async def _new_nonce(self, directory: Directory, request: Request) -> Response:
        await self._check_read(directory, request)
        return Response(200 if request.method == "HEAD" else 204)

    async def _new_account(self, directory: Directory, request: Request) -> Response:
        signed = await self._services.authentication.by_key(directory, self._url(request), request.body)
        message = decode_new_account(signed.payload)
        account, is_new = await self._services.accounts.create(directory, signed, message)
        location = directory.urls.account(account.id)
        return _json(201 if is_new else 200, encode_account(account), _location(location))

    async def _account(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        if request.parameters["account"] != signed.account.id:
            raise ACMEError(ErrorType.UNAUTHORIZED, "the account is another one's")
        account = signed.account
        if signed.payload:
            message = decode_account_update(signed.payload)
            account = await self._services.accounts.update(directory, signed, message)
        return _json(200, encode_account(account), _location(directory.urls.account(account.id)))

    async def _key_change(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        account = await self._services.accounts.change_key(directory, signed, self._services.authentication)
        return _json(200, encode_account(account), _location(directory.urls.account(account.id)))

    async def _new_order(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        message = decode_new_order(signed.payload, max_identifiers=self._max_identifiers)
        order = await self._services.orders.create(directory, signed, message)
        return _order_response(201, order, directory)

    async def _order(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        _require_post_as_get(signed)
        order = await self._services.orders.get(directory, signed, request.parameters["order"])
        return _order_response(200, order, directory)

    async def _finalize(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        message = decode_finalize(signed.payload)
        requester = _requester(directory, signed, request)
        order = await self._services.finalization.finalize(
            directory, signed, request.parameters["order"], message, requester
        )
        return _order_response(200, order, directory)

    async def _authorization(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        id = request.parameters["authorization"]
        if signed.payload and decode_authorization_update(signed.payload).deactivate:
            authorization = await self._services.authorizations.deactivate(directory, signed, id)
        else:
            authorization = await self._services.authorizations.get(directory, signed, id)
        is_working = any(challenge.status is ChallengeStatus.PROCESSING for challenge in authorization.challenges)
        return _json(200, encode_authorization(authorization, directory.urls), _retry_after(is_working))

    async def _challenge(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        id = request.parameters["challenge"]
        if signed.payload:
            decode_challenge_response(signed.payload)
            found = await self._services.authorizations.begin_challenge(directory, signed, id)
        else:
            found = await self._services.authorizations.get_challenge(directory, signed, id)
        authorization, challenge = found
        up = (b"link", _link(directory.urls.authorization(authorization.id), "up"))
        headers = (up, *_retry_after(challenge.status is ChallengeStatus.PROCESSING))
        return _json(200, encode_challenge(challenge, directory.urls), headers)

    async def _certificate(self, directory: Directory, request: Request) -> Response:
        signed = await self._by_account(directory, request)
        _require_post_as_get(signed)
        serial = request.parameters["serial"]
        if not _SERIAL.fullmatch(serial):
            raise NotFound("no such certificate")
        chain = await self._services.download.chain_pem(directory, signed, int(serial, 16))
        return Response(200, chain, ((b"content-type", PEM_CHAIN),))

    async def _revoke_cert(self, directory: Directory, request: Request) -> Response:
        signed = await self._services.authentication.by_either(directory, self._url(request), request.body)
        message = decode_revoke_cert(signed.payload)
        await self._services.revocation.revoke(directory, signed, message, _requester(directory, signed, request))
        return Response(200)

    async def _check_read(self, directory: Directory, request: Request) -> None:
        """What anybody may GET may also be read by POST-as-GET (RFC 8555, 6.3)."""
        if request.method == "POST":
            _require_post_as_get(await self._by_account(directory, request))

    async def _by_account(self, directory: Directory, request: Request) -> SignedByAccount:
        return await self._services.authentication.by_account(directory, self._url(request), request.body)

    def _url(self, request: Request) -> str:
        """The URL that the client asked for, by our public name."""
        return self._public_https + request.path + (f"?{request.query}" if request.query else "")


def _requester(directory: Directory, signed: SignedByAccount | SignedByKey, request: Request) -> Requester:
    identity = (
        directory.urls.account(signed.account.id)
        if isinstance(signed, SignedByAccount)
        else f"key {signed.jwk.thumbprint}"
    )
    return Requester(protocol="acme", identity=identity, address=request.peer, request_id=request.request_id)


def _refused_by_the_server(status: int, reason: str) -> Response:
    """A request that the HTTP server does not read to its end, such as one with too large a body."""
    return _problem(ACMEError(ErrorType.MALFORMED, reason, status=status))


def _require_method(request: Request, method: str) -> None:
    allowed = ("GET", "HEAD", "POST") if method == "GET" else ("POST",)
    if request.method not in allowed:
        raise ACMEError(
            ErrorType.MALFORMED,
            f"the resource takes {', '.join(allowed)}",
            status=405,
            headers=((b"allow", ", ".join(allowed).encode("ascii")),),
        )
    if request.method == "POST" and request.content_type != JOSE:
        raise ACMEError(ErrorType.MALFORMED, f"the media type of a request is {JOSE} (RFC 8555, 6.2)", status=415)


def _require_post_as_get(signed: SignedByAccount) -> None:
    if signed.payload:
        raise malformed("the resource is read by POST-as-GET, whose payload is empty (RFC 8555, 6.3)")


def _order_response(status: int, order: Order, directory: Directory) -> Response:
    headers = _location(directory.urls.order(order.id)) + _retry_after(order.status is OrderStatus.PROCESSING)
    return _json(status, encode_order(order, directory.urls), headers)


def _json(status: int, value: Mapping[str, Any], headers: Headers = ()) -> Response:
    return Response(status, encode_json(value), ((b"content-type", JSON), *headers))


def _problem(error: ACMEError) -> Response:
    return Response(
        error.problem.http_status,
        encode_json(error.problem.to_json()),
        ((b"content-type", PROBLEM), *error.headers),
    )


def _location(url: str) -> Headers:
    return ((b"location", url.encode("ascii")),)


def _retry_after(is_pending: bool) -> Headers:
    return ((b"retry-after", RETRY_AFTER),) if is_pending else ()


def _link(url: str, relation: str) -> bytes:
    return f'<{url}>;rel="{relation}"'.encode("ascii")
