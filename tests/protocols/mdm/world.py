"""The web service on an installation in memory, asked by request values through the real router."""

from __future__ import annotations

import base64
import json
from collections.abc import Coroutine, Mapping
from random import Random
from typing import Any, cast

from lxml import etree

from cspd.authentication.basic import basic_challenge
from cspd.authentication.several import FirstOf
from cspd.authentication.static import StaticUsers
from cspd.authority.client_keys import ClientKeys
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.http.soap import SOAP_11
from cspd.http.wsgi import WSGIAdapter
from cspd.keys.threads import InlinePool
from cspd.plugin import PublicAddress
from protocols.mdm.endpoint import MDMEndpoint
from protocols.mdm.held_certificates import HeldCertificates
from protocols.mdm.openapi import openapi_document
from protocols.mdm.orders import Orders
from protocols.mdm.service import MDMService
from protocols.mdm.soap_application import build_application, build_wsdl
from protocols.mdm.soap_endpoint import SOAPEndpoint
from protocols.mdm.soap_types import NAMESPACE
from tests.support.running import result_of
from tests.unit.digital_ids.office import ANN, PHONES, Office

BASE = "/mdm/services/demo"
USER = "workspace:one:two"
"""Its password has a colon."""
ORDER: Mapping[str, Any] = {"digitalId": PHONES["name"], "variables": ANN}


def in_reactor(work: Any) -> Any:
    """What a thread asks of the reactor, at once."""
    coroutine: Coroutine[Any, Any, Any] = work()
    return result_of(coroutine)


class World(Office):
    """A server, its operators and products."""

    def __init__(self, *, legacy: bool = False, **section: Any) -> None:
        super().__init__(**{"allow_server_made_verification_keys": True, **section})
        house, pool = self.house, InlinePool()
        held = HeldCertificates(
            clock=house.clock,
            digital_ids=self.digital_ids,
            authorities=house.registry,
            revocation=house.revocation,
        )
        orders = Orders(
            digital_ids=self.digital_ids,
            authorities=house.registry,
            issuance=house.issuance,
            held=held,
            client_keys=ClientKeys(keys=house.keys, random_bytes=Random(8).randbytes, pool=pool),
            pool=pool,
            random=Random(9),
            public=PublicAddress(http="http://pki.example", https="https://pki.example"),
            legacy_pkcs12=legacy,
        )
        self.service = MDMService(
            users=FirstOf(
                [
                    StaticUsers("products", {"workspace": b"one:two", "jamf": b"three"}),
                    StaticUsers("others", {"mobileiron": b"four"}),
                ]
            ),
            audit=house.audit,
            tenants=frozenset({"demo"}),
            digital_ids=self.digital_ids,
            authorities=house.registry,
            orders=orders,
            held=held,
        )
        challenge = basic_challenge("cspd MDM")
        endpoint = MDMEndpoint(
            self.service,
            SOAPEndpoint(
                self.service,
                WSGIAdapter(build_application(self.service.answer, in_reactor), pool),
                challenge=challenge,
            ),
            wsdl=build_wsdl,
            openapi=openapi_document,
            public_https="https://pki.example",
            challenge=challenge,
        )
        self.router = Router(endpoint.routes())

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        user: str | None = USER,
        query: str = "",
    ) -> Response:
        """The answer to one request."""
        headers = [(b"host", b"evil.example"), (b"content-type", content_type.encode())]
        if user is not None:
            headers.append((b"authorization", b"Basic " + base64.b64encode(user.encode())))
        match = self.router.resolve(method, path)
        request = Request(
            method=method,
            target=path.encode(),
            path=path,
            query=query,
            headers=tuple(headers),
            body=body,
            parameters=match.parameters,
            is_secure=True,
            peer="192.0.2.9",
            request_id="r-5",
        )
        return result_of(cast(Any, match.route.handler(request)))

    def json(
        self, operation: str, message: Mapping[str, Any] | None = None, *, version: str = "v11", **how: Any
    ) -> tuple[int, Any]:
        """Status and value of an answer to a message in JSON."""
        body = json.dumps({} if message is None else message).encode()
        response = self.ask("POST", f"{BASE}/{version}/{operation}", body, **how)
        return response.status, json.loads(response.body)

    def soap(self, call: str, *, header: str = "", service: str = "", **how: Any) -> tuple[int, etree._Element]:
        """Status and the element in the Body of an answer to a call, XML."""
        message = (
            f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:m="{NAMESPACE}">{header}<s:Body>{call}</s:Body></s:Envelope>'
        ).encode()
        return self.posted(message, service=service, **how)

    def posted(self, message: bytes, *, service: str = "", **how: Any) -> tuple[int, etree._Element]:
        """The same for a whole message."""
        how = {"content_type": "text/xml; charset=utf-8", **how}
        response = self.ask("POST", BASE + service, message, **how)
        assert dict(response.headers)[b"content-type"] == b"text/xml; charset=utf-8"
        body = etree.fromstring(response.body).find(f"{{{SOAP_11}}}Body")
        assert body is not None
        return response.status, body[0]


def fault_of(answer: tuple[int, etree._Element]) -> tuple[int, str | None, str | None, str | None]:
    """Status, faultcode, the refusal's code, and faultstring."""
    status, fault = answer
    assert fault.tag == f"{{{SOAP_11}}}Fault", etree.tostring(fault)
    assert fault.findtext("detail/refusal/requestId") == "r-5"
    return status, fault.findtext("faultcode"), fault.findtext("detail/refusal/code"), fault.findtext("faultstring")
