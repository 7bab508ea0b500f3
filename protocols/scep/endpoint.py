"""SCEP over HTTP: paths, methods, operations, media types, status codes (RFC 8894, 4).

::

    /scep/TENANT/CA/PROFILE[/]                    plain
    /scep/TENANT/CA/PROFILE[/nop]/pkiclient.exe   the same, for clients that put something behind every URL
    /scep/TENANT/CA/PROFILE/intune[/]             challenges of Microsoft Intune
    /scep/TENANT/DIGITALID/mdm[/]                 challenges of an MDM

Nobody is redirected: clients do not follow where a POST is sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote

from twisted.logger import Logger

from cspd.http.message import Handler, Request, Response, Route
from cspd.refusals import Forbidden, LimitExceeded, Malformed, NotFound, Refused, Unavailable
from protocols.scep.ca_information import CAInformation
from protocols.scep.errors import DecodeError
from protocols.scep.exchanges import Address
from protocols.scep.interfaces import Places, Terms
from protocols.scep.limits import Limits
from protocols.scep.service import SCEPService
from protocols.scep.transactions import endpoint_of
from protocols.scep.transport import PKI_MESSAGE, Operation, decode_message_parameter

PLAIN = "/scep/{tenant}/{ca}/{profile}"
INTUNE = PLAIN + "/intune"
MDM = "/scep/{tenant}/{digital_id}/mdm"

# What clients of Cisco and their like put behind a URL, which may itself end in a slash or not (RFC 8894, 4.1).
_PLAIN_ENDS = ("", "/", "/pkiclient.exe", "/cgi-bin/pkiclient.exe", "/nop", "/nop/{anything:path}")
_OTHER_ENDS = ("", "/")
_HEADER_OCTETS = 48 * 1024
"""A message in a URL: base64, with its signs escaped, of what a device of 2005 sends, and of some that are larger."""

_OPERATIONS = {each.value.lower(): each for each in Operation}
_STATUS: dict[type[Refused], int] = {
    NotFound: 404,
    Malformed: 400,
    Forbidden: 403,
    LimitExceeded: 503,
    Unavailable: 503,
}
_NO_STORE = (b"cache-control", b"no-store")
_SHORTLY = (b"cache-control", b"max-age=300")
"""Certificates and abilities of a CA: they change when it is renewed, or its operator says so."""


class SCEPEndpoint:
    """The routes below ``/scep``."""

    _log = Logger()

    def __init__(
        self,
        *,
        service: SCEPService,
        information: CAInformation,
        plain: Places,
        intune: Places | None = None,
        mdm: Places | None = None,
        limits: Limits,
    ) -> None:
        """Without ``intune`` or ``mdm``, nothing is served there."""
        self._service = service
        self._information = information
        self._limits = limits
        self._forms = (
            ("plain", PLAIN, _PLAIN_ENDS, ("ca", "profile"), plain),
            ("intune", INTUNE, _OTHER_ENDS, ("ca", "profile"), intune),
            ("mdm", MDM, _OTHER_ENDS, ("digital_id",), mdm),
        )

    def routes(self) -> Sequence[Route]:
        """Every form of path, with all that may stand behind it.

        ``intune`` and ``mdm`` are there without anybody who serves them, so that they never are names of something.
        """
        return tuple(
            Route(
                methods=("GET", "POST"),
                path=path + end,
                handler=self._handler(form, names, places),
                max_body_bytes=self._limits.message_octets,
                max_header_bytes=_HEADER_OCTETS,
                refuse=_text,
            )
            for form, path, ends, names, places in self._forms
            for end in ends
        )

    def _handler(self, form: str, names: Sequence[str], places: Places | None) -> Handler:
        async def handle(request: Request) -> Response:
            parameters = request.parameters
            tenant, others = parameters["tenant"], [parameters[name] for name in names]
            try:
                if places is None:
                    raise NotFound("nothing is served here")
                place = await places.find(tenant, *others)
                _check_peer(request.peer, place.terms)
                address = Address(
                    place=place,
                    endpoint=endpoint_of(form, tenant, *others),
                    peer=request.peer,
                    request_id=request.request_id,
                )
                return await self._operation(request, address)
            except DecodeError as error:
                return self._refused(request, Malformed(f"There is no pkiMessage in it: {error}"))
            except Refused as refusal:  # there is nothing that could be answered, or nobody who could sign it
                return self._refused(request, refusal)

        return handle

    async def _operation(self, request: Request, address: Address) -> Response:
        query = _query(request.query)
        operation = _OPERATIONS.get(query.get("operation", "").lower())
        if operation is Operation.PKI_OPERATION:
            return await self._message(request, query, address)
        if operation is None:
            raise Malformed(f"operation: one of {', '.join(each.value for each in Operation)}")
        if request.method == "POST":
            return _text(405, f"{operation.value} is for GET.", (b"allow", b"GET, HEAD"))
        return await self._inform(operation, address.place.terms)

    async def _inform(self, operation: Operation, terms: Terms) -> Response:
        if operation is Operation.GET_CA_CAPS:
            return _response(*await self._information.capabilities(terms), _SHORTLY)
        if operation is Operation.GET_CA_CERT:
            return _response(*await self._information.certificates(terms), _SHORTLY)
        return _response(*await self._information.next_certificates(terms), _NO_STORE)

    async def _message(self, request: Request, query: Mapping[str, str], address: Address) -> Response:
        if request.method == "HEAD":  # whose answer would be lost
            return _text(405, "PKIOperation is for GET and POST.", (b"allow", b"GET, POST"))
        if request.method == "POST":
            message_der = request.body
        else:
            message_der = decode_message_parameter(query.get("message", ""), self._limits)
        return _response(PKI_MESSAGE, await self._service.answer(message_der, address), _NO_STORE)

    def _refused(self, request: Request, refusal: Refused) -> Response:
        self._log.warn(
            "SCEP request {request_id} from {address} to {path} was refused: {reason}",
            event="scep-refused",
            request_id=request.request_id,
            address=request.peer,
            path=request.path,
            code=refusal.refusal_code,
            reason=refusal.reason,
            detail=refusal.detail,
        )
        status = next((_STATUS[kind] for kind in type(refusal).__mro__ if kind in _STATUS), 400)
        retry_after = getattr(refusal, "retry_after", None)
        if retry_after is not None:
            return _text(status, refusal.reason, (b"retry-after", b"%d" % max(1, round(retry_after.total_seconds()))))
        return _text(status, refusal.reason)


def _check_peer(peer: str, terms: Terms) -> None:
    """R-CEGI-096."""
    if not terms.networks:
        return
    address: IPv4Address | IPv6Address = ip_address(peer)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:  # of a listener for both
        address = address.ipv4_mapped
    if not any(address in network for network in terms.networks):
        raise Forbidden("nothing is served to this address")


def _query(query: str) -> Mapping[str, str]:
    """The parameters by name, the first of each; ``+`` stays what it is, for clients send base64 unescaped."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        found.setdefault(unquote(name), unquote(value))
    return found


def _response(media_type: str, body: bytes, cache_control: tuple[bytes, bytes]) -> Response:
    return Response(200, body, ((b"content-type", media_type.encode("ascii")), cache_control))


def _text(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Response:
    always = ((b"content-type", b"text/plain; charset=utf-8"), _NO_STORE)
    return Response(status, f"{sentence}\n".encode(), (*always, *headers))
