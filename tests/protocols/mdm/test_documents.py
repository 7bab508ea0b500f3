"""The WSDL and the OpenAPI document are true: clients that know nothing else can call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pytest
import zeep
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from lxml import etree
from zeep.exceptions import Fault
from zeep.transports import Transport
from zeep.wsse.username import UsernameToken

from protocols.mdm.messages import MAX_BODY, OPERATIONS, Version
from tests.protocols.mdm.test_bad_requests import LIST
from tests.protocols.mdm.world import BASE, ORDER, USER, World
from tests.unit.digital_ids.office import ANN

URL = "https://pki.example"
PHONES = {"digitalId": "My Phones", "variables": {"variable": [{"name": k, "value": v} for k, v in ANN.items()]}}


class InMemory(Transport):  # type: ignore[misc]  # zeep has no types
    """Sends nothing: asks the world."""

    def __init__(self, world: World, *, user: str | None = USER) -> None:
        super().__init__()
        self._world = world
        self._user = user

    def load(self, url: str) -> bytes:
        """See zeep."""
        path, _, query = url.removeprefix(URL).partition("?")
        response = self._world.ask("GET", path, query=query, user=None)
        assert response.status == 200
        return response.body

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        """See zeep."""
        assert address.startswith(URL)
        answer = self._world.ask(
            "POST", address.removeprefix(URL), message, user=self._user, content_type=headers["Content-Type"]
        )
        return _Answer(answer.status, answer.body, {k.decode(): v.decode() for k, v in answer.headers})


class _Answer:
    """What zeep sees of an answer."""

    def __init__(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.content = content
        self.headers = {"Content-Type": headers["content-type"]}
        self.encoding = "utf-8"
        self.raw = BytesIO(content)


def client(world: World, *, service: str = "", user: str | None = USER, wsse: Any = None) -> Any:
    return zeep.Client(f"{URL}{BASE}{service}?wsdl", transport=InMemory(world, user=user), wsse=wsse)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.requirement("R-CEG-098")
@pytest.mark.parametrize("service", ["", "/AdminServiceV8", "/AdminServiceV9", "/AdminServiceV11", "/v9"])
def test_an_independent_client_calls_by_the_wsdl(world: World, service: str) -> None:
    known = client(world, service=service)
    [port] = known.wsdl.services["AdminService"].ports.values()
    assert port.binding_options["address"] == f"{URL}{BASE}{service}"
    assert set(port.binding.all()) == {operation.name for operation in OPERATIONS}
    [phones, _] = known.service.ListDigitalIDs()
    assert (phones.name, phones.variables.string, phones.allowsPkcs12) == (
        "My Phones",
        ["firstname", "lastname"],
        True,
    )


@pytest.mark.requirement("R-CEG-091")
@pytest.mark.requirement("R-CEG-092")
def test_all_that_json_does_soap_does(world: World) -> None:
    service = client(world).service
    created = service.CreateChallenge(**PHONES)
    assert created.scepUrl == "http://pki.example/scep/demo/My%20Phones/mdm"
    assert created.expiresAt > world.house.clock.now()
    names = {"AlternativeName": [{"kind": "email", "value": "ann@example.com"}]}
    issued = service.IssuePKCS12(**PHONES, subjectAltNames=names, keyType="ec-p256", password="correct horse")
    opened = load_pkcs12(issued.pkcs12, b"correct horse")
    assert opened.cert is not None
    which = {"ca": issued.certificate.ca, "serialNumber": issued.certificate.serialNumber}
    assert f"{opened.cert.certificate.serial_number:x}" == which["serialNumber"]
    assert service.GetCertificate(**which) == issued.certificate
    assert service.HoldCertificate(**which).state == "held"
    assert service.ReleaseCertificate(**which).state == "good"
    assert service.RevokeCertificate(**which, reason="superseded").revocationReason == "superseded"
    found = service.FindCertificates(**PHONES)
    assert [each.state for each in found.certificates.CertificateDescription] == ["revoked"]
    assert found.userId == created.userId
    assert len(service.GetCACertificates("My Phones").certificates.base64Binary) == 2
    status, value = world.json("FindCertificates", ORDER)
    assert (status, value["certificates"][0]["serialNumber"]) == (200, which["serialNumber"])


@pytest.mark.requirement("R-CEG-085")
@pytest.mark.requirement("R-CEG-087")
def test_an_independent_client_reads_our_faults(world: World) -> None:
    with pytest.raises(Fault, match=r"^missing variable: lastname$") as fault:
        client(world).service.CreateChallenge("My Phones", {"variable": [{"name": "firstname", "value": "Ann"}]})
    assert fault.value.code == "soap:Client"
    assert fault.value.detail.findtext("refusal/code") == "missing-variable"
    with pytest.raises(Fault, match=r"^there is no such digital ID$"):
        client(world).service.GetCACertificates("tablets")


@pytest.mark.requirement("R-CEG-084")
def test_an_independent_client_authenticates_by_ws_security(world: World) -> None:
    user, _, password = USER.partition(":")
    token = UsernameToken(user, password)
    client(world, user=None, wsse=token).service.ListDigitalIDs()
    with pytest.raises(Fault, match="unknown user, or wrong password"):
        client(world, user=None, wsse=UsernameToken(user, "x")).service.ListDigitalIDs()
    with pytest.raises(Fault, match="user name and password are needed"):
        client(world, user=None).service.ListDigitalIDs()


def test_documents_are_for_anybody_and_name_our_address_not_the_host_header(world: World) -> None:
    for path, query in (
        (BASE, "wsdl"),
        (BASE, "WSDL"),
        (f"{BASE}/AdminServiceV9", "wsdl"),
        (f"{BASE}/openapi.json", ""),
    ):
        response = world.ask("GET", path, query=query, user=None)
        assert response.status == 200
        assert b"evil.example" not in response.body
        assert b"https://pki.example/mdm/services/demo" in response.body


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (BASE, "", 405, "http"),
        (f"{BASE}/AdminServiceV7", "wsdl", 404, "unsupported-version"),
        ("/mdm/services/other", "wsdl", 404, "no-such-tenant"),
        ("/mdm/services/other/openapi.json", "", 404, "no-such-tenant"),
    ],
)
def test_where_no_document_is(world: World, path: str, query: str, status: int, code: str) -> None:
    response = world.ask("GET", path, query=query, user=None)
    assert (response.status, json.loads(response.body)["code"]) == (status, code)


@pytest.fixture(scope="module")
def document(world: World) -> Any:
    return json.loads(world.ask("GET", f"{BASE}/openapi.json", user=None).body)


def test_the_openapi_document_has_every_operation_and_nothing_that_is_not_there(world: World, document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": f"{URL}{BASE}"}]
    assert set(document["paths"]) == {f"/{{version}}/{operation.name}" for operation in OPERATIONS}
    for path, methods in document["paths"].items():
        [post] = methods.values()
        for version in post["parameters"][0]["schema"]["enum"]:
            url = document["servers"][0]["url"] + path.replace("{version}", version)
            assert world.ask("POST", url.removeprefix(URL), b"[]").status == 400
    assert post["parameters"][0]["schema"]["enum"] == [f"v{each.value}" for each in Version]
    schemas = document["components"]["schemas"]
    assert {reference.rpartition("/")[2] for reference in references(document)} <= set(schemas)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_answers_have_the_members_that_the_openapi_document_tells(world: World, document: Any) -> None:
    schemas = document["components"]["schemas"]
    order = {**ORDER, "keyType": "ec-p256"}
    which: dict[str, str] = {}
    for name, message in (
        ("ListDigitalIDs", {}),
        ("CreateChallenge", ORDER),
        ("IssuePKCS12", order),
        ("FindCertificates", ORDER),
        ("GetCACertificates", {"digitalId": "My Phones"}),
        ("GetCertificate", which),
        ("HoldCertificate", which),
        ("ReleaseCertificate", which),
        ("RevokeCertificate", which),
    ):
        status, value = world.json(name, message)
        assert status == 200, (name, value)
        post = document["paths"][f"/{{version}}/{name}"]["post"]
        conforms(value, post["responses"]["200"]["content"]["application/json"]["schema"], schemas)
        conforms(message, post["requestBody"]["content"]["application/json"]["schema"], schemas)
        if name == "IssuePKCS12":
            which.update({key: value["certificate"][key] for key in ("ca", "serialNumber")})
    refused = json.loads(world.ask("POST", f"{BASE}/v11/ListDigitalIDs", b"[]").body)
    conforms(refused, {"$ref": "#/components/schemas/Problem"}, schemas)


def conforms(value: Any, schema: Any, schemas: Any) -> None:
    """Types, required and known members, and enumerations: what our schemas say."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is not None:
            conforms(value, schema["anyOf"][0], schemas)
        return
    kind = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}[schema["type"]]
    assert isinstance(value, kind), (value, schema)
    if "enum" in schema:
        assert value in schema["enum"]
    if kind is list:
        for item in value:
            conforms(item, schema["items"], schemas)
    if kind is dict:
        known = schema.get("properties", {})
        assert set(schema.get("required", ())) <= set(value)
        for name, item in value.items():
            if name in known:
                conforms(item, known[name], schemas)
            else:
                assert schema.get("additionalProperties") not in (False, None), name
                conforms(item, schema["additionalProperties"], schemas)


def test_an_answer_in_soap_is_an_element_of_the_schema(world: World) -> None:
    schema_of_wsdl = etree.fromstring(world.ask("GET", BASE, query="wsdl", user=None).body)
    found = schema_of_wsdl.find(".//{http://www.w3.org/2001/XMLSchema}schema")
    assert found is not None
    schema = etree.XMLSchema(etree.fromstring(etree.tostring(found)))  # with the namespaces around it
    _, answer = world.soap(LIST)
    assert schema.validate(answer), schema.error_log


def test_routes_say_how_much_they_take(world: World) -> None:
    for path in (BASE, f"{BASE}/v9", f"{BASE}/v9/ListDigitalIDs"):
        assert world.router.resolve("POST", path).route.max_body_bytes == MAX_BODY
