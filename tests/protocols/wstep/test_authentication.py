"""Who calls: names and passwords in the message, tickets in HTTP, and nothing else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cspd.authentication.negotiate import NEEDED, AnotherLeg, Negotiated
from cspd.directory.values import NameFlag, Principal
from cspd.http.message import Response
from cspd.http.soap import WSSE
from cspd.refusals import Unauthorized, Unavailable
from tests.protocols.wstep.accounts import key_usage, template
from tests.protocols.wstep.world import ALICE, KERBEROS, STATIC, USER_TOKEN, Answer, World, item, message

_PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
NOT_PROVED = ("Sender", "FailedAuthentication", "unknown user, or wrong password")


class FakeNegotiation:
    """Answers like :class:`cspd.authentication.negotiate.Negotiation`, by the text of the header."""

    def __init__(self) -> None:
        self.connections: list[bytes | None] = []

    async def authenticate(
        self, authorization: str | None, *, connection: bytes | None, channel_binding: bytes | None = None
    ) -> Negotiated | AnotherLeg:
        self.connections.append(connection)
        match authorization:
            case None:
                raise Unauthorized(NEEDED)
            case str() if not authorization.startswith("Negotiate"):
                raise Unauthorized(NEEDED, detail="the scheme")
            case "Negotiate more":
                return AnotherLeg(b"Negotiate bW9yZQ==")
            case "Negotiate away":
                raise Unavailable("too many clients have not finished")
            case str() if authorization.startswith("Negotiate name:"):
                return Negotiated(Principal(name=authorization.partition(":")[2]), b"Negotiate cHJvb2Y=")
        raise Unauthorized("the Kerberos ticket is not accepted", detail="NTLM")


def static_request(world: World) -> bytes:
    return world.csr(template_oid=None, usage=key_usage("digital_signature"))


@pytest.fixture
def world() -> World:
    world = World(tickets=FakeNegotiation())
    world.directory.known_templates = [template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME)]
    return world


@pytest.mark.parametrize(
    "user",
    [None, ("", ""), ("", "x"), ("alice", ""), ("alice", "pass word"), ("nobody", "x"), (STATIC[0], "x")],
)
def test_every_failed_authentication_is_one_fault(world: World, user: tuple[str, str] | None) -> None:
    answer = world.issue(user=user)
    assert answer.fault == NOT_PROVED
    assert not world.events("certificate-issued")


def test_empty_passwords_never_reach_a_directory(world: World) -> None:
    world.issue(user=("alice", ""))
    world.issue(user=("", "x"))
    assert world.directory.asked_domains == []


@pytest.mark.requirement("R-CEGI-023")
def test_the_domain_of_the_request_goes_along(world: World) -> None:
    world.issue(context=item("ccm", "pc7.branch.example.com"))
    world.issue(context=item("ccm", "pc7"))
    world.issue()
    assert world.directory.asked_domains == ["branch.example.com", None, None]


def test_passwords_are_taken_as_they_are(world: World) -> None:
    assert world.issue(user=ALICE).certificate  # with spaces around it
    typed = message(token=world.csr()).replace(b"<o:Password>", f'<o:Password Type="{_PROFILE}#PasswordText">'.encode())
    assert Answer(world.post(typed)).certificate


@pytest.mark.parametrize(
    ("old", "new", "subcode"),
    [
        ("<o:Password>", f'<o:Password Type="{_PROFILE}#PasswordDigest">', "UnsupportedSecurityToken"),
        ("<o:Username>alice</o:Username>", "", "UnsupportedSecurityToken"),
        ("<o:Username>alice", "<o:Username><x/>alice", "UnsupportedSecurityToken"),
        ("</o:UsernameToken>", "</o:UsernameToken><o:UsernameToken/>", "InvalidSecurity"),
        ("</o:UsernameToken>", "</o:UsernameToken><o:BinarySecurityToken/>", "UnsupportedSecurityToken"),
        (
            "</o:UsernameToken>",
            '</o:UsernameToken><d:Signature xmlns:d="http://www.w3.org/2000/09/xmldsig#"/>',
            "UnsupportedSecurityToken",
        ),
        ("</o:Security>", f'</o:Security><o:Security xmlns:o="{WSSE}"/>', "InvalidSecurity"),
    ],
)
def test_other_tokens_are_refused(world: World, old: str, new: str, subcode: str) -> None:
    text = message(token=world.csr()).decode()
    assert old in text
    assert Answer(world.post(text.replace(old, new).encode())).fault[:2] == ("Sender", subcode)


def test_a_timestamp_may_stand_beside(world: World) -> None:
    wsu = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    text = message(token=world.csr()).decode()
    with_time = text.replace("<o:UsernameToken>", f'<u:Timestamp xmlns:u="{wsu}"/><o:UsernameToken>')
    assert Answer(world.post(with_time.encode())).certificate


def test_a_silent_directory_does_not_keep_static_users_out(world: World) -> None:
    world.directory.refusal = Unavailable("no domain controller answers")
    assert world.issue(static_request(world), user=STATIC).certificate
    assert world.issue(user=("nobody", "x")).fault[2] == "no domain controller answers"


def ticket(world: World, authorization: str | None, **what: Any) -> Response:
    return world.post(message(user=None, token=world.csr(), **what), path=KERBEROS, authorization=authorization)


def challenge(response: Response) -> bytes | None:
    return dict(response.headers).get(b"www-authenticate")


@pytest.mark.requirement("R-CEG-122")
@pytest.mark.requirement("R-CEGI-021")
def test_who_has_no_ticket_is_asked_for_one(world: World) -> None:
    for authorization in (None, "NTLM TlRMTVNTUAAB", "Negotiate TlRMTVNTUAAB", "Basic YWxpY2U6eA=="):
        response = ticket(world, authorization)
        assert (response.status, challenge(response)) == (401, b"Negotiate")
    assert len(world.events("wstep-authentication-failed")) == 3  # who was not asked yet has not failed


@pytest.mark.requirement("R-CEGI-021")
def test_a_ticket_gives_a_certificate_and_the_servers_proof(world: World) -> None:
    response = ticket(world, "Negotiate name:alice@EXAMPLE.COM")
    assert Answer(response).certificate.subject.rfc4514_string() == "CN=Alice Adams"
    assert challenge(response) == b"Negotiate cHJvb2Y="


def test_another_leg(world: World) -> None:
    response = ticket(world, "Negotiate more")
    assert (response.status, challenge(response)) == (401, b"Negotiate bW9yZQ==")


def test_a_ticket_without_an_account_is_refused(world: World) -> None:
    response = ticket(world, "Negotiate name:alice@ELSEWHERE.COM")
    assert (response.status, challenge(response)) == (401, b"Negotiate")


def test_a_silent_directory_is_a_fault_with_tickets_too(world: World) -> None:
    assert Answer(ticket(world, "Negotiate away")).fault[0] == "Receiver"
    world.directory.refusal = Unavailable("no domain controller answers")
    assert Answer(ticket(world, "Negotiate name:alice@EXAMPLE.COM")).fault[2] == "no domain controller answers"


@pytest.mark.requirement("R-CEG-123")
@pytest.mark.requirement("R-CEGI-024")
def test_each_url_has_its_own_authentication(world: World) -> None:
    with_ticket = world.post(
        message(user=None, token=world.csr()), path=USER_TOKEN, authorization="Negotiate name:alice@EXAMPLE.COM"
    )
    assert Answer(with_ticket).fault == NOT_PROVED
    basic = "Basic " + base64.b64encode(b"alice: pass word ").decode()
    assert Answer(world.post(message(user=None, token=world.csr()), authorization=basic)).fault == NOT_PROVED
    with_password = world.post(message(token=world.csr()), path=KERBEROS)
    assert with_password.status == 401
    alias = world.post(message(token=world.csr()), path="/demo~issuing_CES_Kerberos/service.svc/CES")
    assert alias.status == 401


@pytest.mark.requirement("R-CEG-124")
def test_kerberos_is_off_by_default() -> None:
    from cspd.http.router import NoRoute

    with pytest.raises(NoRoute):
        World().post(message(), path=KERBEROS)


@pytest.mark.requirement("R-CEG-135")
def test_a_ca_without_settings_is_refused(world: World) -> None:
    assert world.post(message(), path=USER_TOKEN.replace("issuing", "root")).status == 404
