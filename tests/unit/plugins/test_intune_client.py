"""The client of Intune's interface: what it sends, what it makes of answers, and how it behaves where there is none.

No sockets: MSAL and the client send to a stand-in that checks what it is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from cspd import __version__
from cspd.config.connectors import find_connector
from cspd.config.values import SecretReference
from cspd.health import HealthState
from cspd.keys.threads import InlinePool
from cspd.refusals import Unavailable
from plugins.intune import codec
from plugins.intune.assembly import assemble, build
from plugins.intune.calls import LONGEST_PAUSE
from plugins.intune.discovery import services_of
from plugins.intune.endpoints import Endpoints
from plugins.intune.service import Intune
from plugins.intune.tokens import CredentialRefused
from protocols.scep.intune.config import IntuneConfig
from protocols.scep.intune.interfaces import CONNECTOR_KIND
from protocols.scep.intune.values import (
    HResult,
    IntuneCode,
    IssuedNotice,
    RefusedByIntune,
    RefusedNotice,
    ResultCode,
    RevocationOrder,
    RevocationResult,
)
from tests.support.clocks import FrozenClock
from tests.support.intune_service import (
    APPLICATION,
    CHALLENGE,
    DISCOVERY,
    DOWNLOAD,
    FAILURE,
    GRAPH,
    INTUNE_APPLICATION,
    SECRET,
    SUCCESS,
    TENANT,
    TOKEN,
    UPLOAD,
    VALIDATE,
    Fault,
    IntuneStandIn,
)
from tests.support.running import result_of
from tests.support.scep_client import csr_of
from tests.unit.http.certificates import make

CSR = csr_of(ec.generate_private_key(ec.SECP256R1()), "device", CHALLENGE)
ISSUED = IssuedNotice(
    transaction_id="T1",
    csr_der=CSR,
    certificate_der=b"a certificate",
    serial=0xABC,
    not_after=datetime(2027, 11, 24, 12, 30, 15, tzinfo=UTC),
    issuer="CN=Example issuing",
)


class World:
    """A client, its clocks, and the stand-in."""

    def __init__(self, *, folder: Path = Path(), **settings: Any) -> None:
        self.service = IntuneStandIn()
        self.reactor = Clock()
        self.clock = FrozenClock()
        self.secrets = {"intune": SECRET.encode(), "p12": b"p12 password"}
        self.folder = folder
        written = {
            "ca": "demo~issuing",
            "azure_application_id": APPLICATION,
            "azure_tenant": TENANT,
            "application_secret": {"store": "intune"},
            "override_endpoints": True,
            "endpoints": self.service.endpoints,
            **settings,
        }
        self.config = IntuneConfig.model_validate({k: v for k, v in written.items() if v is not None})
        self.intune = self.build()

    def build(self) -> Intune:
        """Another client of the same configuration."""
        return assemble(
            self.config,
            reactor=self.reactor,
            clock=self.clock,
            random=Random(1),
            outbound=self.service,
            secret=self.secret,
            folder=self.folder,
            pool=InlinePool(),
            send=lambda request: result_of(self.service.send(request)),
        )

    def secret(self, reference: SecretReference) -> bytes:
        assert reference.store is not None
        return self.secrets[reference.store]

    def validate(self) -> None:
        result_of(self.intune.validate("T1", CSR))

    def begin(self, work: Coroutine[Any, Any, Any]) -> list[Any]:
        """What it gives or raises, once it has."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        return results

    def fails(self, work: Coroutine[Any, Any, Any] | None = None, *, seconds: float = 60) -> Unavailable:
        """The Unavailable that it ends in, after all its pauses."""
        results = self.begin(work or self.intune.validate("T1", CSR))
        for _ in range(int(seconds * 4)):
            if results:
                break
            self.reactor.advance(0.25)
        assert isinstance(results[0], Failure), results
        assert isinstance(results[0].value, Unavailable), results[0]
        return results[0].value


@pytest.fixture
def world() -> World:
    return World()


def test_the_connector_is_declared() -> None:
    assert find_connector(CONNECTOR_KIND, "intune") is build


def test_a_request_is_validated_with_what_microsoft_wants(world: World) -> None:
    world.validate()
    assert world.service.complaints == []
    assert world.service.bodies(VALIDATE) == [
        {
            "transactionId": "T1",
            "certificateRequest": base64.b64encode(CSR).decode(),
            "callerInfo": f"cspd/{__version__}",
        }
    ]
    assert [each.path for each in world.service.asked] == [DISCOVERY, TOKEN, GRAPH, TOKEN, VALIDATE]


def test_tokens_and_services_are_kept(world: World) -> None:
    world.validate()
    world.validate()
    assert [each.path for each in world.service.asked[5:]] == [VALIDATE]
    ids = {each.headers["client-request-id"] for each in world.service.asked if "client-request-id" in each.headers}
    assert len(ids) == 5, "one for each request, those of MSAL too"


@pytest.mark.requirement("R-CEGI-112")
def test_success_is_told_with_the_certificate(world: World) -> None:
    result_of(world.intune.tell_issued(ISSUED))
    assert world.service.complaints == []
    assert world.service.bodies(SUCCESS) == [
        {
            "transactionId": "T1",
            "certificateRequest": base64.b64encode(CSR).decode(),
            "certificateThumbprint": sha1(b"a certificate").hexdigest().upper(),  # Windows' name for it
            "certificateSerialNumber": "0ABC",
            "certificateExpirationDateUtc": "2027-11-24T12:30:15.000Z",
            "issuingCertificateAuthority": "CN=Example issuing",
            "callerInfo": f"cspd/{__version__}",
        }
    ]


@pytest.mark.requirement("R-CEGI-112")
@pytest.mark.parametrize(
    ("description", "expected"),
    [("no", "no"), ("", "no reason is given"), ("a\r\nb\0", "a  b "), ("x" * 300, "x" * 255)],
)
def test_failure_is_told_with_a_code_and_a_short_description(world: World, description: str, expected: str) -> None:
    notice = RefusedNotice(transaction_id="T1", csr_der=CSR, result=HResult.NOT_ISSUED, description=description)
    result_of(world.intune.tell_refused(notice))
    assert world.service.complaints == []
    body = world.service.bodies(FAILURE)[0]
    assert (body["hResult"], body["errorDescription"]) == (0xA0040003, expected)


@pytest.mark.parametrize("code", [code for code in IntuneCode if code is not IntuneCode.SUCCESS])
def test_anything_but_success_is_a_refusal(world: World, code: IntuneCode) -> None:
    world.service.codes[VALIDATE] = code.value
    with pytest.raises(RefusedByIntune) as refused:
        world.validate()
    assert refused.value.code is code
    assert refused.value.description == f"{code.value}, says the stand-in"
    assert world.intune.health().state is HealthState.OK, "Intune works"


def test_a_code_of_tomorrow_is_a_refusal(world: World) -> None:
    world.service.codes[VALIDATE] = "SomethingNew"
    with pytest.raises(RefusedByIntune) as refused:
        world.validate()
    assert (refused.value.code, refused.value.said) == (IntuneCode.UNKNOWN, "SomethingNew")


UNUSABLE = {
    "no JSON": b"<html>",
    "half JSON": b'{"code": "Succ',
    "a list": b"[]",
    "text": b'"Success"',
    "no code": b'{"errorDescription": ""}',
    "a code that is no text": b'{"code": 1}',
    "deep": b"[" * 100_000,
    "not UTF-8": b'{"code": "\xff"}',
}


@pytest.mark.requirement("R-CEG-082")
@pytest.mark.requirement("R-CEGI-111")
@pytest.mark.parametrize("name", UNUSABLE)
def test_an_answer_that_is_none_of_the_interface_is_no_success(world: World, name: str) -> None:
    world.service.faults[VALIDATE].append(Fault(status=200, body=UNUSABLE[name]))
    world.fails()
    assert world.intune.health().state is HealthState.DEGRADED


@pytest.mark.requirement("R-CEG-082")
@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=503), Fault(status=429), Fault(is_reset=True)])
@pytest.mark.parametrize("path", [VALIDATE, GRAPH])
def test_a_call_that_fails_is_made_again_after_growing_pauses(world: World, fault: Fault, path: str) -> None:
    world.service.faults[path] += [fault, fault]
    results = world.begin(world.intune.validate("T1", CSR))
    world.reactor.advance(0.4)
    assert len(world.service.faults[path]) == 1
    world.reactor.advance(0.2)
    assert len(world.service.faults[path]) == 0
    world.reactor.advance(0.7)
    assert not results
    world.reactor.advance(0.4)
    assert results == [None]


@pytest.mark.requirement("R-CEG-082")
@pytest.mark.requirement("R-CEGI-111")
@pytest.mark.parametrize("path", [DISCOVERY, GRAPH, VALIDATE])
def test_a_service_that_stays_away_is_given_up(world: World, path: str) -> None:
    world.service.faults[path] += [Fault(is_reset=True)] * 10
    assert world.fails().refusal_code == "unavailable"
    assert len(world.service.faults[path]) == 7
    assert world.intune.health().state is HealthState.DEGRADED


def test_a_service_is_looked_for_again_after_a_failure(world: World) -> None:
    world.validate()
    world.service.faults[VALIDATE] += [Fault(status=404)]
    world.fails()
    world.validate()
    assert len(world.service.asked_for(GRAPH)) == 2


def test_a_pause_that_intune_asks_for_is_kept(world: World) -> None:
    world.service.faults[VALIDATE] += [Fault(status=429, headers={"Retry-After": "7"})]
    results = world.begin(world.intune.validate("T1", CSR))
    world.reactor.advance(6.9)
    assert not results
    world.reactor.advance(0.2)
    assert results == [None]


def test_a_date_to_come_back_at_is_understood(world: World) -> None:
    date = "Tue, 24 Nov 2026 12:00:05 GMT"
    world.service.faults[VALIDATE] += [Fault(status=503, headers={"Retry-After": date})]
    results = world.begin(world.intune.validate("T1", CSR))
    world.reactor.advance(4.9)
    assert not results
    world.reactor.advance(0.2)
    assert results == [None]


def test_a_long_pause_is_left_to_the_device(world: World) -> None:
    world.service.faults[VALIDATE] += [Fault(status=429, headers={"Retry-After": "3600"})]
    error = world.fails(seconds=0)
    assert error.retry_after == timedelta(hours=1)
    assert error.retry_after > LONGEST_PAUSE


def test_nonsense_in_retry_after_is_ignored(world: World) -> None:
    for value in ("soon", "-1", "9" * 5000, ""):
        world.service.faults[VALIDATE] += [Fault(status=429, headers={"Retry-After": value})]
        results = world.begin(world.intune.validate("T1", CSR))
        world.reactor.advance(0.6)
        assert results == [None]


def test_a_token_that_was_withdrawn_is_replaced_once(world: World) -> None:
    world.validate()
    world.service.withdraw_tokens()
    world.validate()
    assert len(world.service.asked_for(TOKEN)) == 3
    world.service.faults[VALIDATE] += [Fault(status=401)] * 2
    error = world.fails(seconds=0)
    assert isinstance(error, CredentialRefused)
    assert "permission" in error.detail
    assert world.intune.health().state is HealthState.FAILED


@pytest.mark.requirement("R-CEGI-117")
@pytest.mark.parametrize(
    ("code", "expected"), [(7000222, "client secret has expired"), (7000215, "client secret is wrong")]
)
def test_a_secret_that_azure_refuses_is_logged_and_makes_health_fail(world: World, code: int, expected: str) -> None:
    world.service.secrets.clear()
    world.service.secret_error = code
    with capturedLogs() as logs:
        error = world.fails()
        world.fails()
    assert isinstance(error, CredentialRefused)
    assert expected in error.detail
    health = world.intune.health()
    assert health.part == "scep-intune-demo~issuing"
    assert health.state is HealthState.FAILED
    assert expected in health.reason
    errors = [each for each in logs if each["log_level"] is LogLevel.error]
    assert len(errors) == 1, "told once"
    assert SECRET not in repr(logs) + repr(error) + error.detail


@pytest.mark.requirement("R-CEGI-122")
def test_a_new_secret_works_with_what_is_built_next(world: World) -> None:
    world.service.secrets = {"a new secret"}
    world.fails()
    world.secrets["intune"] = b"a new secret"
    world.intune = world.build()
    world.validate()
    assert world.intune.health().state is HealthState.OK


def test_a_refused_credential_stays_one_while_the_network_is_down(world: World) -> None:
    world.service.secrets.clear()
    world.fails()
    world.service.faults[TOKEN] += [Fault(is_reset=True)] * 3
    world.fails()
    assert world.intune.health().state is HealthState.FAILED


def p12(folder: Path, *, days: tuple[int, int] = (-1, 365), key: Any = None, password: bytes = b"p12 password") -> Any:
    """Write ``app.p12``; gives its certificate."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    party = make("application", key=key, days=days)
    content = serialize_key_and_certificates(b"app", key, party.certificate, None, BestAvailableEncryption(password))
    (folder / "app.p12").write_bytes(content)
    return party.certificate


P12 = {
    "application_secret": None,
    "application_p12": "app.p12",
    "application_p12_password": {"store": "p12"},
}


@pytest.mark.requirement("R-CEG-077")
@pytest.mark.requirement("R-CEGI-117")
def test_the_application_authenticates_with_its_certificate(tmp_path: Path) -> None:
    certificate = p12(tmp_path)
    world = World(folder=tmp_path, **P12)
    world.service.certificate = certificate
    world.validate()
    assert world.service.complaints == []
    form = world.service.asked_for(TOKEN)[0].form
    assert "client_secret" not in form
    # The stand-in has verified the assertion: its signature, whose key it is, for whom, and until when.
    world.service.certificate = p12(tmp_path)
    world.intune = world.build()
    world.validate()


@pytest.mark.requirement("R-CEGI-117")
def test_a_certificate_that_azure_does_not_know_makes_health_fail(tmp_path: Path) -> None:
    p12(tmp_path)
    world = World(folder=tmp_path, **P12)
    world.service.certificate = make("another", key=rsa.generate_private_key(65537, 2048)).certificate
    assert isinstance(world.fails(), CredentialRefused)
    assert "not known in Azure" in world.intune.health().reason


@pytest.mark.requirement("R-CEGI-117")
@pytest.mark.parametrize(("ends", "state"), [(20, HealthState.DEGRADED), (40, HealthState.OK)])
def test_a_certificate_that_ends_is_told_by_health(tmp_path: Path, ends: int, state: HealthState) -> None:
    certificate = p12(tmp_path)
    world = World(folder=tmp_path, **P12)
    world.clock.advance(certificate.not_valid_after_utc - timedelta(days=ends) - world.clock.now())
    assert world.intune.health().state is state
    world.clock.advance(timedelta(days=ends))
    assert world.intune.health().state is (HealthState.FAILED)


@pytest.mark.parametrize("broken", ["password", "absent", "ec"])
def test_a_file_that_cannot_be_opened_prevents_the_start(tmp_path: Path, broken: str) -> None:
    if broken != "absent":
        p12(
            tmp_path,
            key=ec.generate_private_key(ec.SECP256R1()) if broken == "ec" else None,
            password=b"another" if broken == "password" else b"p12 password",
        )
    with pytest.raises(Unavailable, match=r"application_p12: .*app\.p12") as refused:
        World(folder=tmp_path, **P12)
    assert "p12 password" not in str(refused.value)


@pytest.mark.requirement("R-CEG-078")
@pytest.mark.requirement("R-CEGI-119")
def test_without_overrides_the_endpoints_are_those_of_the_public_cloud() -> None:
    written = World().config.model_copy(update={"override_endpoints": False})
    endpoints = Endpoints.of(written)
    assert endpoints == Endpoints()
    assert endpoints.authority("t.example") == "https://login.microsoftonline.com/t.example"
    assert endpoints.graph_scope == "https://graph.microsoft.com/.default"
    assert endpoints.intune_scope == "https://api.manage.microsoft.com//.default"
    assert endpoints.services_url == (
        "https://graph.microsoft.com/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
    )


OVERRIDES = {
    "authentication_authority": ("https://login.example/", "https://login.example/t.example"),
    "graph_api_version": ("beta", "https://graph.microsoft.com/beta/servicePrincipals/"),
    "graph_resource_url": ("https://graph.example", "https://graph.example/v1.0/servicePrincipals/"),
    "intune_application_id": (APPLICATION, f"appId={APPLICATION}/"),
    "intune_resource_url": ("https://intune.example/", "https://intune.example//.default"),
}


@pytest.mark.requirement("R-CEG-078")
@pytest.mark.requirement("R-CEGI-119")
@pytest.mark.parametrize("name", OVERRIDES)
def test_each_override_counts_and_the_others_keep_their_defaults(name: str) -> None:
    value, expected = OVERRIDES[name]

    def shown(endpoints: Endpoints) -> str:
        return " ".join([endpoints.authority("t.example"), endpoints.services_url, endpoints.intune_scope])

    blank = dict.fromkeys(OVERRIDES, "")
    endpoints = Endpoints.of(World(endpoints={**blank, name: value}).config)
    assert expected in shown(endpoints)
    assert expected not in shown(Endpoints())
    differing = [each for each in OVERRIDES if getattr(endpoints, each) != getattr(Endpoints(), each)]
    assert differing == [name]


@pytest.mark.requirement("R-CEGI-119")
def test_calls_go_where_the_overrides_lead() -> None:
    world = World()
    version = {"graph_api_version": "v2.1", "intune_application_id": APPLICATION}
    world = World(endpoints={**world.service.endpoints, **version})
    path = GRAPH.replace("v1.0", "v2.1").replace(INTUNE_APPLICATION, APPLICATION)
    world.service.faults[path].append(Fault(status=404))
    world.fails()
    assert len(world.service.asked_for(path)) == 1


GRAPH_ANSWERS = {
    "no JSON": (b"nothing", "not JSON"),
    "no list": (b'{"value": {}}', "no list of services"),
    "an older form": (
        b'{"value": [{"serviceName": "screprequestvalidationfeservice", "uri": "https://x/"}]}',
        "lists no",
    ),
    "no service": (b'{"value": []}', "lists no service ScepRequestValidationFEService"),
    "not https": (b'{"value": [{"providerName": "ScepRequestValidationFEService", "uri": "http://x"}]}', "lists no"),
    "odd members": (b'{"value": [{"providerName": 1, "uri": []}]}', "lists no"),
    "not objects": (b'{"value": [1]}', "no object"),
}


@pytest.mark.parametrize("name", GRAPH_ANSWERS)
def test_graph_is_not_believed_everything(world: World, name: str) -> None:
    body, expected = GRAPH_ANSWERS[name]
    world.service.faults[GRAPH].append(Fault(status=200, body=body))
    assert expected in world.fails().detail


def test_the_older_name_of_a_service_is_understood(world: World) -> None:
    base = world.service.base
    body = f'{{"value": [{{"serviceName": "SCEPREQUESTVALIDATIONFESERVICE", "uri": "{base}/scep/"}}]}}'
    world.service.faults[GRAPH].append(Fault(status=200, body=body.encode()))
    world.validate()


def test_orders_to_revoke_are_fetched_and_answered(world: World) -> None:
    world.service.orders = [
        {"requestContext": "c1", "serialNumber": "0ABC", "issuerName": "CN=Example issuing", "caConfiguration": None},
        {"requestContext": "c2", "serialNumber": "0ABD", "issuerName": "CN=Another", "caConfiguration": None},
    ]
    orders = result_of(world.intune.revocation_orders(issuer_name="CN=Example issuing", limit=100))
    assert orders == [RevocationOrder(context="c1", serial_number="0ABC", issuer_name="CN=Example issuing")]
    results = [
        RevocationResult(context="c1"),
        RevocationResult(context="c9", code=ResultCode.CERTIFICATE_NOT_FOUND, message="no such certificate"),
    ]
    result_of(world.intune.report_revocations(results))
    assert world.service.complaints == []
    assert world.service.bodies(DOWNLOAD) == [
        {"certificateProviderName": None, "maxRequests": 100, "issuerName": "CN=Example issuing"}
    ]
    assert world.service.results == [
        {"requestContext": "c1", "succeeded": True, "errorCode": "0", "errorMessage": None},
        {"requestContext": "c9", "succeeded": False, "errorCode": "4004", "errorMessage": "no such certificate"},
    ]


def test_orders_are_read_in_the_case_of_either_library(world: World) -> None:
    body = b'[{"RequestContext": "c1", "SerialNumber": "0A"}]'
    world.service.faults[DOWNLOAD].append(Fault(status=200, body=body))
    assert result_of(world.intune.revocation_orders(issuer_name="CN=A", limit=1)) == [
        RevocationOrder(context="c1", serial_number="0A")
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"value": null}',
        b'{"value": [1]}',
        b'{"value": [{"requestContext": "c"}]}',
        b'{"value": [{"requestContext": "", "serialNumber": "0A"}]}',
        b'{"value": [{"requestContext": "c", "serialNumber": "0A", "issuerName": 7}]}',
        b'{"value": [{"requestContext": "' + b"c" * 5000 + b'", "serialNumber": "0A"}]}',
        b'{"value": [{"requestContext": "c", "serialNumber": "1"}, {"requestContext": "d", "serialNumber": "1"}]}',
        b"7",
    ],
)
def test_orders_that_are_none_are_refused(world: World, body: bytes) -> None:
    world.service.faults[DOWNLOAD].append(Fault(status=200, body=body))
    world.fails(world.intune.revocation_orders(issuer_name="CN=A", limit=1))


@pytest.mark.parametrize(
    ("body", "is_taken"),
    [
        (b"true", True),
        (b'{"value": true}', True),
        (b'{"Value": true}', True),
        (b"false", False),
        (b'{"value": "true"}', False),
        (b"{}", False),
        (b"1", False),
    ],
)
def test_results_are_taken_only_by_true(world: World, body: bytes, is_taken: bool) -> None:
    world.service.faults[UPLOAD].append(Fault(status=200, body=body + b" "))
    work = world.intune.report_revocations([RevocationResult(context="c1")])
    if is_taken:
        result_of(work)
    else:
        world.fails(work)


@pytest.mark.requirement("R-CEGI-118")
def test_one_application_s_trouble_is_not_another_s() -> None:
    good, bad = World(), World(azure_application_id=INTUNE_APPLICATION, ca="demo~other")
    bad.fails()
    good.validate()
    assert bad.intune.health().state is HealthState.FAILED
    assert bad.intune.health().part == "scep-intune-demo~other"
    assert good.intune.health().state is HealthState.OK


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Success", "value", "code"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "value", "x"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_an_answer_or_none_of_the_interface(answer: Any) -> None:
    is_success = isinstance(answer, dict) and answer.get("code") == "Success"
    try:
        codec.check_answer(answer)
    except (RefusedByIntune, codec.NotOfTheInterface):
        assert not is_success
    else:
        assert is_success
    assert codec.is_taken(answer) in (True, False)
    for read in (lambda: codec.orders(answer, 5), lambda: services_of(answer)):
        with suppress(ValueError):
            read()


def test_whoever_stops_does_not_wait_for_microsoft(world: World) -> None:
    world.service.faults[VALIDATE] += [Fault(status=503, headers={"Retry-After": "9"})]
    results = world.begin(world.intune.validate("T1", CSR))
    assert not results
    assert world.intune.stop().called
    assert isinstance(results[0].value, Unavailable)
    assert world.reactor.getDelayedCalls() == []


def test_a_device_that_leaves_ends_its_call(world: World) -> None:
    world.service.faults[VALIDATE] += [Fault(status=503)]
    work = Deferred.fromCoroutine(world.intune.validate("T1", CSR))
    results: list[Any] = []
    work.addBoth(results.append)
    work.cancel()
    assert isinstance(results[0].value, CancelledError)
    assert world.reactor.getDelayedCalls() == []
    assert world.intune.health().state is HealthState.OK


def test_nothing_secret_is_logged_or_shown(world: World) -> None:
    with capturedLogs() as logs:
        world.validate()
        world.service.faults[VALIDATE] += [Fault(is_reset=True)] * 3
        world.fails()
    shown = repr(logs) + repr(world.config) + repr(ISSUED)
    assert SECRET not in shown
    assert "token-1" not in shown
    assert CHALLENGE not in shown
