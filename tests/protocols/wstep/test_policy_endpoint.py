"""Enrollment policies by message, beside enrollment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cspd.authentication.negotiate import AnotherLeg, Negotiated
from cspd.authentication.static import StaticUsers
from cspd.authority.values import CAReference
from cspd.directory.values import NameFlag, Principal
from cspd.http.message import Request, Response
from cspd.http.router import NoRoute, Router
from cspd.refusals import Unauthorized, Unavailable
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import CERTIFICATE_NEEDED
from protocols.wstep.enrollment_servers import servers_at
from protocols.wstep.policy_assembly import ServedCAs
from protocols.wstep.policy_endpoint import PolicyEndpoint
from protocols.wstep.policy_messages import GET_POLICIES_ACTION, GET_POLICIES_RESPONSE_ACTION
from protocols.wstep.policy_service import PolicyService, PolicyTerms
from tests.protocols.wstep.accounts import ALICE as ALICE_ACCOUNT
from tests.protocols.wstep.accounts import granted, key_usage, template
from tests.protocols.wstep.directory import DirectoryCheck
from tests.protocols.wstep.policy_schema import NAMESPACE, validate
from tests.protocols.wstep.world import ALICE, STATIC, World, configuration, message
from tests.support.running import result_of

USER_TOKEN = "/wstep/usertoken/policy/demo"
KERBEROS = "/wstep/kerberos/policy/demo"
CERTIFICATE = "/wstep/certificate/policy/demo"
ANONYMOUS = "/wstep/anonymous/policy/demo"
GET_POLICIES = (
    f'<GetPolicies xmlns="{NAMESPACE}"><client><lastUpdate xsi:nil="true"/><preferredLanguage xsi:nil="true"/></client>'
    '<requestFilter xsi:nil="true"/></GetPolicies>'
)


class TicketOfAlice:
    """Stands for the negotiation: one ticket counts, and one needs another leg."""

    async def authenticate(self, authorization: str | None, **connection: Any) -> Negotiated | AnotherLeg:
        if authorization == "Negotiate more":
            return AnotherLeg(b"Negotiate again")
        if authorization != "Negotiate alice":
            raise Unauthorized("a Kerberos ticket is needed" if authorization is None else "not accepted")
        return Negotiated(Principal(name="alice@EXAMPLE.COM"), b"Negotiate proof")


class PolicyWorld(World):
    """A server that tells policies, too."""

    def __init__(
        self,
        *,
        tickets: bool = True,
        certificate: bool = True,
        anonymous: bool = True,
        tenants: Sequence[str] = ("demo",),
        renewal: bool = False,
    ) -> None:
        super().__init__()
        names = NameFlag.SUBJECT_REQUIRE_COMMON_NAME | NameFlag.SUBJECT_ALT_REQUIRE_UPN
        self.directory.known_templates = [template(names)]
        house = self.house
        conf = configuration(templates={"Badge": "wstep-digital-signature"}, certificate_renewal=renewal)
        served = conf.terms()
        cas = ServedCAs(house.registry, served, public_https="https://ca.example.com:8443", kerberos=tickets)
        endpoint = PolicyEndpoint(
            service=PolicyService(
                PolicyTerms(friendly_name="Example"),
                issuing_cas=cas.of_tenant,
                profiles=house.profiles,
                clock=house.clock,
                server="https://ca.example.com:8443",
            ),
            user_names=UserNames(
                {
                    "corp": DirectoryCheck(self.directory),
                    "people": StaticUsers("people", {STATIC[0]: STATIC[1].encode()}),
                }
            ),
            tickets=Tickets(cast(Any, TicketOfAlice()), [self.directory]) if tickets else None,
            certificates=self.certificates if certificate else None,
            anonymous=anonymous,
            tenants=tenants,
            audit=RefusalAudit(house.audit),
        )
        self.policies = Router(endpoint.routes())

    def send(
        self,
        path: str = USER_TOKEN,
        *,
        user: tuple[str, str] | None = ALICE,
        content_type: str = "application/soap+xml; charset=utf-8",
        authorization: str | None = None,
        certificate: bytes | None = None,
        octets: bytes | None = None,
        **what: Any,
    ) -> Response:
        told = {"action": GET_POLICIES_ACTION, "body": GET_POLICIES, **what}
        headers = [(b"content-type", content_type.encode())]
        if authorization is not None:
            headers.append((b"authorization", authorization.encode()))
        match = self.policies.resolve("POST", path)
        request = Request(
            method="POST",
            target=path.encode(),
            path=path,
            query="",
            headers=tuple(headers),
            body=message(user=user, **told) if octets is None else octets,
            parameters=match.parameters,
            peer="192.0.2.9",
            request_id="r-5",
            client_certificate=certificate,
        )
        response: Response = result_of(cast(Any, match.route.handler(request)))
        return response

    def told(self, path: str = USER_TOKEN, **what: Any) -> dict[str, list[str]]:
        """Names of templates, and the authentication of URLs."""
        response = self.send(path, **what)
        assert response.status == 200, response.body
        root = etree.fromstring(response.body)
        (body,) = root.find("{*}Body")
        validate(body)
        assert root.findtext("{*}Header/{*}Action") == GET_POLICIES_RESPONSE_ACTION
        assert root.findtext("{*}Header/{*}RelatesTo") == "urn:uuid:b5d1a601-5091-4a7d-b34b-5204c18b5919"
        return {
            "templates": [each.text for each in root.iterfind(".//{*}attributes/{*}commonName")],
            "uris": [each.text for each in root.iterfind(".//{*}cAURI/{*}uri")],
        }

    def fault(self, path: str = USER_TOKEN, **what: Any) -> tuple[str, str]:
        response = self.send(path, **what)
        assert response.status == 500, response.body
        root = etree.fromstring(response.body)
        subcode = root.findtext(".//{*}Subcode/{*}Value") or ""
        return subcode.rpartition(":")[2], root.findtext(".//{*}Reason/{*}Text") or ""


@pytest.fixture
def world() -> PolicyWorld:
    return PolicyWorld()


@pytest.mark.requirement("R-CEGI-046")
@pytest.mark.requirement("R-CEG-147")
def test_an_account_is_told_what_it_may_have_and_where(world: PolicyWorld) -> None:
    assert world.told() == {
        "templates": ["Staff"],
        "uris": [
            "https://ca.example.com:8443/wstep/usertoken/services/demo/demo~issuing",
            "https://ca.example.com:8443/wstep/kerberos/services/demo/demo~issuing",
        ],
    }


def test_accounts_are_told_where_certificates_renew() -> None:
    world = PolicyWorld(renewal=True)
    renews = "https://ca.example.com:8443/wstep/certificate/services/demo/demo~issuing"
    assert world.told()["uris"][-1] == renews
    told = etree.fromstring(world.send().body).findall(".//{*}cAURI")[-1]
    assert [each.text for each in told] == ["8", renews, "1", "true"]
    assert renews not in world.told(user=STATIC)["uris"]  # whom nobody could look up again


def test_a_static_user_is_told_what_conf_maps(world: PolicyWorld) -> None:
    assert world.told(user=STATIC)["templates"] == ["Badge"]


def test_what_is_told_can_be_enrolled(world: PolicyWorld) -> None:
    root = etree.fromstring(world.send(user=STATIC).body)
    oid = next(each for each in root.iter("{*}oID") if each.findtext("{*}group") == "9").findtext("{*}value")
    assert oid is not None
    certificate = world.issue(
        world.csr(template_oid=oid, usage=key_usage("digital_signature")), user=STATIC
    ).certificate
    assert certificate.subject.rfc4514_string() == "CN=demo@corp.example"


@pytest.mark.requirement("R-CEG-123")
def test_a_ticket_is_not_asked_for_where_passwords_are(world: PolicyWorld) -> None:
    reason = "unknown user, or wrong password"
    assert world.fault(user=None, authorization="Negotiate alice") == ("FailedAuthentication", reason)
    assert world.fault(user=(ALICE[0], "wrong")) == ("FailedAuthentication", reason)
    assert world.fault(user=(ALICE[0], "")) == ("FailedAuthentication", reason)
    (first, *_) = world.events("wstep-authentication-failed")
    assert first.fields["tenant"] == "demo"
    assert world.send(KERBEROS, user=ALICE).status == 401


def test_kerberos(world: PolicyWorld) -> None:
    asked = world.send(KERBEROS, user=None)
    assert (asked.status, dict(asked.headers)[b"www-authenticate"]) == (401, b"Negotiate")
    assert world.events("wstep-authentication-failed") == []
    more = world.send(KERBEROS, user=None, authorization="Negotiate more")
    assert (more.status, dict(more.headers)[b"www-authenticate"]) == (401, b"Negotiate again")
    refused = world.send(KERBEROS, user=None, authorization="Negotiate TlRMTVNTUAAB")
    assert (refused.status, dict(refused.headers)[b"www-authenticate"]) == (401, b"Negotiate")
    assert len(world.events("wstep-authentication-failed")) == 1
    answer = world.send(KERBEROS, user=None, authorization="Negotiate alice")
    assert dict(answer.headers)[b"www-authenticate"] == b"Negotiate proof"
    assert world.told(KERBEROS, user=None, authorization="Negotiate alice")["templates"] == ["Staff"]


def test_certificates_of_ours(world: PolicyWorld) -> None:
    account = world.issue(world.csr(usage=key_usage("digital_signature"))).certificate.public_bytes(Encoding.DER)
    assert world.told(CERTIFICATE, user=None, certificate=account)["templates"] == ["Staff"]
    csr = world.csr(template_oid=None, usage=key_usage("digital_signature"))
    person = world.issue(csr, user=STATIC).certificate.public_bytes(Encoding.DER)
    assert world.told(CERTIFICATE, user=None, certificate=person)["templates"] == ["Badge"]
    expected = ("FailedAuthentication", CERTIFICATE_NEEDED)
    assert world.fault(CERTIFICATE, user=None) == expected
    ca = result_of(world.house.registry.get(CAReference("demo", "issuing")))
    assert world.fault(CERTIFICATE, user=None, certificate=ca.certificate_der) == expected
    world.house.clock.advance(timedelta(days=400))
    assert world.fault(CERTIFICATE, user=None, certificate=account) == expected


def test_a_certificate_of_an_account_that_is_gone(world: PolicyWorld) -> None:
    account = world.issue(world.csr(usage=key_usage("digital_signature"))).certificate.public_bytes(Encoding.DER)
    world.directory.accounts.clear()
    assert world.fault(CERTIFICATE, user=None, certificate=account)[1] == CERTIFICATE_NEEDED
    world.directory.refusal = Unavailable("no domain controller answers")
    assert world.fault(CERTIFICATE, user=None, certificate=account)[0] == "RequestFailed"


def test_anybody_where_conf_allows_it(world: PolicyWorld) -> None:
    assert world.told(ANONYMOUS, user=None)["templates"] == ["Badge"]


def test_ways_that_are_switched_off_have_no_url() -> None:
    world = PolicyWorld(tickets=False, certificate=False, anonymous=False)
    for path in (KERBEROS, CERTIFICATE, ANONYMOUS):
        with pytest.raises(NoRoute):
            world.send(path)
    assert world.send("/ADPolicyProvider_CEP_Kerberos/service.svc/CEP").status == 404
    assert len(world.told()["uris"]) == 1


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("ADPolicyProvider_CEP_UsernamePassword", 200),
        ("demo_ADPolicyProvider_CEP_UsernamePassword", 200),
        ("ADPolicyProvider_CEP_Kerberos", 401),
        ("ADPolicyProvider_CEP_Certificate", 500),
        ("other_ADPolicyProvider_CEP_UsernamePassword", 404),
        ("demoADPolicyProvider_CEP_UsernamePassword", 404),
        ("ADPolicyProvider_CEP_Anonymous", 404),
        ("ADPolicyProvider_CEP_", 404),
        ("UsernamePassword", 404),
    ],
)
def test_names_of_microsoft(world: PolicyWorld, service: str, expected: int) -> None:
    assert world.send(f"/{service}/service.svc/CEP").status == expected


def test_the_short_name_needs_one_tenant() -> None:
    world = PolicyWorld(tenants=("demo", "other"))
    assert world.send("/ADPolicyProvider_CEP_UsernamePassword/service.svc/CEP").status == 404
    assert world.send("/demo_ADPolicyProvider_CEP_UsernamePassword/service.svc/CEP").status == 200


def test_a_tenant_that_there_is_not(world: PolicyWorld) -> None:
    assert world.send("/wstep/usertoken/policy/nobody").status == 404


def test_messages_that_are_none(world: PolicyWorld) -> None:
    assert world.fault(action="urn:other")[0] == "ActionNotSupported"
    assert world.fault(action=None)[0] == "MessageAddressingHeaderRequired"
    assert world.fault(body=f'<GetPolicies xmlns="{NAMESPACE}"/>') == ("InvalidRequest", "GetPolicies has no client")
    assert world.send(content_type="text/xml").status == 415
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]>' + message(body=GET_POLICIES, action=GET_POLICIES_ACTION)
    assert world.fault(octets=bomb)[0] == "InvalidRequest"
    assert world.fault(header='<x xmlns="urn:x" s:mustUnderstand="1"/>')[1].startswith("the message has a header block")


def test_who_did_not_prove_who_it_is_learns_nothing_of_its_message(world: PolicyWorld) -> None:
    assert world.fault(user=None, body=f'<GetPolicies xmlns="{NAMESPACE}"/>')[0] == "FailedAuthentication"


def test_a_directory_that_is_silent(world: PolicyWorld) -> None:
    world.directory.refusal = Unavailable("no domain controller answers")
    assert world.fault() == ("RequestFailed", "no domain controller answers")
    assert [event.fields["reason"] for event in world.events("wstep-lookup-failed")] == ["no domain controller answers"]


def test_an_error_of_ours_tells_nothing(world: PolicyWorld) -> None:
    world.directory.known_templates = cast(Any, [None])
    assert world.fault() == ("", "internal error")


def test_access_is_by_groups(world: PolicyWorld) -> None:
    world.directory.known_templates = [template(security=granted("S-1-5-21-9-9-9-9"))]
    assert world.told()["templates"] == []
    world.directory.accounts["alice"] = replace(ALICE_ACCOUNT, group_sids=frozenset({"S-1-5-21-9-9-9-9", "S-1-1-0"}))
    assert world.told()["templates"] == ["Staff"]


def test_a_ca_that_does_not_issue_is_not_told(world: PolicyWorld) -> None:
    served = [each.terms() for each in configuration(ca="demo~nowhere").services]
    cas = ServedCAs(world.house.registry, served, public_https="https://ca", kerberos=False)
    assert result_of(cas.of_tenant("demo")) == []


@pytest.mark.requirement("R-CEG-147")
def test_urls_have_their_port() -> None:
    (server,) = servers_at("https://ca.example.com", "demo", "demo~issuing", kerberos=False)
    assert server.url == "https://ca.example.com:443/wstep/usertoken/services/demo/demo~issuing"
    (server,) = servers_at("https://[2001:db8::1]:8443", "demo", "demo~issuing", kerberos=False)
    assert server.url.startswith("https://[2001:db8::1]:8443/")
