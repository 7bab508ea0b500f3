"""SCEP over HTTP: paths, methods, operations, statuses (RFC 8894, 4)."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from cspd.authority.values import CAReference
from cspd.http.router import MethodNotAllowed
from cspd.refusals import NotFound
from cspd.x509.cms.signed import certificates_of, read_signed_data, verify_signer
from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.capabilities import decode_capabilities
from protocols.scep.interfaces import Place, Terms
from protocols.scep.messages import PKIStatus
from tests.protocols.scep.world import PATH, PROFILE, World, header, in_query
from tests.support.authorities import ISSUING

BARE = PATH.rstrip("/")
CAPABILITIES = "operation=GetCACaps"


class NamedPlaces:
    """Implements :class:`protocols.scep.interfaces.Places`, and remembers what was looked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.found: list[tuple[str, ...]] = []

    async def find(self, tenant: str, *names: str) -> Place:
        """See the interface."""
        if tenant != "demo":
            raise NotFound("no such tenant")
        self.found.append(names)
        return Place(terms=Terms(ca=ISSUING, profile=PROFILE), authorizer=self._world.authorizer)


@pytest.fixture
def world() -> World:
    return World()


# Paths


@pytest.mark.requirement("R-CEG-006", "R-CEG-011", "R-CEGI-003", "R-CEGI-091")
@pytest.mark.parametrize(
    "end",
    [
        "",
        "/",
        "/pkiclient.exe",
        "/cgi-bin/pkiclient.exe",
        "/nop",
        "/nop/",
        "/nop/pkiclient.exe",
        "/nop/cgi-bin/pkiclient.exe",
        "/nop/whatever/else%20there/is",
    ],
)
def test_a_device_enrolls_whatever_it_puts_behind_the_url(world: World, end: str) -> None:
    assert world.ask(CAPABILITIES, path=BARE + end).status == 200
    world.enroll(world.device(), world.csr(), path=BARE + end)


@pytest.mark.requirement("R-CEGI-001", "R-CEG-065")
@pytest.mark.parametrize(
    "path",
    [
        f"/scep/Demo/demo~issuing/{PROFILE}/",
        f"/scep/other/demo~issuing/{PROFILE}/",
        f"/scep/demo/demo~other/{PROFILE}/",
        f"/scep/demo/demo~root/{PROFILE}/",
        f"/scep/demo/issuing/{PROFILE}/",
        "/scep/demo/demo~issuing/tls-server/",
        f"/scep/demo/demo~issuing/{PROFILE.upper()}/",
    ],
)
def test_what_is_not_served_is_not_found(world: World, path: str) -> None:
    message_der = world.device().enrollment(world.csr())
    for response in (
        world.ask(CAPABILITIES, path=path),
        world.ask("operation=GetCACert", path=path),
        world.ask("operation=PKIOperation", message_der, path=path),
    ):
        assert response.status == 404
    assert world.certificate_count == 0


@pytest.mark.requirement("R-CEGI-004")
def test_names_are_percent_decoded_once(world: World) -> None:
    assert world.ask(CAPABILITIES, path=f"/scep/%64emo/demo%7Eissuing/{PROFILE}/").status == 200
    assert world.ask(CAPABILITIES, path=f"/scep/%2564emo/demo~issuing/{PROFILE}/").status == 404


@pytest.mark.requirement("R-CEG-012", "R-CEGI-005")
def test_the_three_forms_of_paths_are_told_apart() -> None:
    world = World()
    intune, mdm = NamedPlaces(world), NamedPlaces(world)
    world = World(shares=world, intune=intune, mdm=mdm)
    for path in ("/scep/demo/My%20Phones/mdm", "/scep/demo/My%20Phones/mdm/", "/scep/demo/demo~issuing/%6Ddm"):
        assert world.ask(CAPABILITIES, path=path).status == 200
    assert mdm.found == [("My Phones",), ("My Phones",), ("demo~issuing",)]
    for path in (f"{BARE}/intune", f"{BARE}/intune/", "/scep/demo/demo~issuing/mdm/intune/"):
        assert world.ask(CAPABILITIES, path=path).status == 200
    assert intune.found == [("demo~issuing", PROFILE), ("demo~issuing", PROFILE), ("demo~issuing", "mdm")]
    for path in ("/scep/demo/demo~issuing/intune/", "/scep/demo/demo~issuing/nop/", "/scep/demo/demo~issuing/mdm/nop/"):
        assert world.ask(CAPABILITIES, path=path).status == 404


@pytest.mark.requirement("R-CEG-022")
@pytest.mark.parametrize(
    "path", ["/scep/demo/phones/mdm", "/scep/demo/phones/mdm/", f"{BARE}/intune", f"{BARE}/intune/"]
)
def test_forms_that_nobody_serves_are_not_found(world: World, path: str) -> None:
    assert world.ask(CAPABILITIES, path=path).status == 404


def test_forms_are_transactions_of_their_own() -> None:
    """The certificate of one form must not be had by the request of another, which asks other people."""
    world = World()
    world = World(shares=world, intune=NamedPlaces(world))
    device = world.device()
    plain, other = (world.enroll(device, world.csr(), path=path) for path in (PATH, f"{BARE}/intune/"))
    assert plain != other
    assert len(world.authorizer.authorized) == 2


@pytest.mark.requirement("R-CEGI-096")
def test_only_addresses_that_are_listed_are_served() -> None:
    world = World(service={"networks": ["198.51.100.0/24", "2001:db8::/32"]})
    assert world.ask(CAPABILITIES, peer="198.51.100.7").status == 200
    assert world.ask(CAPABILITIES, peer="2001:db8::7").status == 200
    assert world.ask(CAPABILITIES, peer="::ffff:198.51.100.7").status == 200
    assert world.ask(CAPABILITIES, peer="::ffff:192.0.2.7").status == 403
    assert world.ask(CAPABILITIES, peer="192.0.2.7").status == 403
    message_der = world.device().enrollment(world.csr())
    assert world.ask("operation=PKIOperation", message_der, peer="192.0.2.7").status == 403
    assert world.certificate_count == 0


# Operations


@pytest.mark.requirement("R-CEG-057", "R-CEGI-090")
def test_getcacert_gives_the_registration_authority_and_the_chain(world: World) -> None:
    for query in ("operation=GetCACert", "operation=GetCACert&message=CAIdentifier"):
        response = world.ask(query)
        assert header(response, b"content-type") == b"application/x-x509-ca-ra-cert"
        found = decode_ca_certificates("application/x-x509-ca-ra-cert", response.body)
        assert sorted(found) == sorted(world.authority.registration_authority.certificates_der)
        assert len(found) == 3


@pytest.mark.requirement("R-CEG-072")
def test_getcacaps_says_what_is_done_here() -> None:
    by_default = {"AES", "POSTPKIOperation", "Renewal", "SHA-256", "SHA-384", "SHA-512", "SCEPStandard"}
    for section, more in (
        ({}, set()),
        ({"allow_sha1": True}, {"SHA-1"}),
        ({"service": {"allow_des3": True}}, {"DES3"}),
        ({"service": {"next_ca": "demo~next"}}, {"GetNextCACert"}),
    ):
        response = World(**section).ask(CAPABILITIES)  # type: ignore[arg-type]  # a table
        assert header(response, b"content-type") == b"text/plain"
        assert {each.value for each in decode_capabilities(response.body)} == by_default | more


@pytest.mark.requirement("R-CEG-072")
def test_getnextcacert_gives_the_ca_that_follows() -> None:
    world = World(service={"next_ca": "demo~next"})
    following = world.house.make_issuing(CAReference("demo", "next"), profiles=(PROFILE,))
    response = world.ask("operation=GetNextCACert")
    assert header(response, b"content-type") == b"application/x-x509-next-ca-cert"
    signed = read_signed_data(response.body)
    assert world.authority.certificate in certificates_of(signed)
    [signer] = signed.signers
    assert signed.content is not None
    verify_signer(
        signer, world.authority.certificate.public_key(), content_type=signed.content_type, content=signed.content
    )
    given = read_signed_data(signed.content).certificates_der
    assert set(given) == {following.certificate_der, *following.chain_der}


def test_getnextcacert_gives_who_speaks_for_the_ca_that_follows() -> None:
    world = World(service={"next_ca": "demo~issuing"})  # the only one that somebody speaks for
    signed = read_signed_data(world.ask("operation=GetNextCACert").body)
    given = read_signed_data(signed.content or b"").certificates_der
    assert set(given) == set(world.authority.registration_authority.certificates_der)


@pytest.mark.requirement("R-CEG-072")
def test_without_a_ca_that_follows_getnextcacert_is_refused(world: World) -> None:
    assert world.ask("operation=GetNextCACert").status == 404


@pytest.mark.parametrize("query", ["", "operation=", "operation=GetEverything", "message=abc", "operation"])
def test_an_operation_that_is_none_is_a_bad_request(world: World, query: str) -> None:
    for body in (None, b"x"):
        response = world.ask(query, body)
        assert response.status == 400
        assert response.body.startswith(b"operation: one of GetCACaps")


@pytest.mark.parametrize("operation", ["GetCACaps", "GetCACert", "GetNextCACert"])
def test_what_is_for_get_is_not_posted(world: World, operation: str) -> None:
    response = world.ask(f"operation={operation}", b"")
    assert (response.status, header(response, b"allow")) == (405, b"GET, HEAD")


def test_a_certificate_is_not_issued_for_head(world: World) -> None:
    response = world.ask(in_query(world.device().enrollment(world.csr())), method="HEAD")
    assert (response.status, header(response, b"allow")) == (405, b"GET, POST")
    assert world.certificate_count == 0


def test_other_methods_are_none(world: World) -> None:
    with pytest.raises(MethodNotAllowed):
        world.ask(CAPABILITIES, method="PUT")


def test_operations_are_named_in_any_case(world: World) -> None:
    assert world.ask("operation=getcacaps").status == 200


# Messages


@pytest.mark.requirement("R-CEG-061", "R-CEGI-090")
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "bare"])
def test_a_message_may_stand_in_the_url(world: World, escaped: bool) -> None:
    device = world.device()
    message_der = device.enrollment(world.csr())
    text = base64.b64encode(message_der).decode()
    assert "+" in text
    response = world.ask(f"operation=PKIOperation&message={quote(text, safe='') if escaped else text}")
    assert response.status == 200
    assert device.read(response.body)[0].pki_status is PKIStatus.SUCCESS


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("operation=PKIOperation", None),
        ("operation=PKIOperation", b""),
        ("operation=PKIOperation&message=%%%", None),
        ("operation=PKIOperation&message=AAAA", None),
        ("operation=PKIOperation", b"\x30\x00"),
        ("operation=PKIOperation", b"\x30\x80\x00\x00"),
        ("operation=PKIOperation", b"<html>"),
    ],
)
def test_what_is_no_message_is_a_bad_request(world: World, query: str, body: bytes | None) -> None:
    response = world.ask(query, body)
    assert response.status == 400
    assert response.body.startswith(b"There is no pkiMessage in it: ")


def test_a_message_that_is_too_long_is_not_read() -> None:
    world = World(max_message_bytes=4096)
    assert world.ask("operation=PKIOperation", b"\x30" + bytes(5000)).status == 400
    assert world.ask("operation=PKIOperation&message=" + "A" * 9000).status == 400
    match = world.router.resolve("POST", PATH)
    assert match.route.max_body_bytes == 4096


def test_a_ca_that_nobody_speaks_for_is_not_found(world: World) -> None:
    """As by R-CEG-058; others stay served."""
    world = World(shares=world, services=[{"ca": "demo~issuing"}, {"ca": "demo~root"}])
    for path, status in ((PATH, 200), (f"/scep/demo/demo~root/{PROFILE}/", 404)):
        assert world.ask(CAPABILITIES, path=path).status == status
        assert world.ask("operation=GetCACert", path=path).status == status
