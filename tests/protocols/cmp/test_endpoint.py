"""CMP over HTTP: every form of path, what is no message, and what belongs to which path."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.http.router import MethodNotAllowed
from protocols.cmp import info_types
from protocols.cmp.codec import decode
from protocols.cmp.messages import BodyType, GenMsgContent, InfoTypeAndValue, PKIBody
from protocols.cmp.path_operations import OPERATIONS
from protocols.cmp.status import PKIFailureInfo
from tests.protocols.cmp.world import World
from tests.support.cmp_client import fail_info, ir, p10cr, requests, signed_request

BASES = (
    "/cmp/demo/demo~issuing/tls-client",
    "/cmpv2/demo/demo~issuing/tls-client/default",
    "/.well-known/cmp",
    "/.well-known/cmp/p/devices",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def body(operation: str) -> PKIBody:
    """What belongs to a path."""
    key = ec.generate_private_key(ec.SECP256R1())
    found = OPERATIONS[operation]
    if found.body_type is BodyType.GENM:
        return PKIBody(BodyType.GENM, GenMsgContent(tuple(InfoTypeAndValue(each) for each in found.info_types)))
    if found.body_type is BodyType.P10CR:
        return p10cr(key)
    return requests(found.body_type, signed_request(key))


@pytest.mark.requirement("R-CEG-152")
@pytest.mark.parametrize("base", BASES)
def test_every_form_of_path_leads_to_its_ca_and_profile(world: World, base: str) -> None:
    response = world.post(base, world.client().message(body("initialization")))
    assert response.status == 200
    assert dict(response.headers)[b"content-type"] == b"application/pkixcmp"
    assert decode(response.body).body.type is BodyType.IP


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"nested", "revocation"}))
def test_a_message_has_to_belong_to_the_end_of_its_path(world: World, base: str, operation: str) -> None:
    right = decode(world.post(f"{base}/{operation}", world.client().message(body(operation))).body)
    assert right.body.type is not BodyType.ERROR or fail_info(right) is not PKIFailureInfo.BAD_REQUEST
    other = "pkcs10" if operation != "pkcs10" else "getcacerts"
    wrong = decode(world.post(f"{base}/{operation}", world.client().message(body(other))).body)
    assert fail_info(wrong) is PKIFailureInfo.BAD_REQUEST


def test_a_general_message_has_to_be_that_of_its_path(world: World) -> None:
    message = world.client().message(body("getcrls"))
    assert fail_info(decode(world.post(f"{BASES[0]}/getcacerts", message).body)) is PKIFailureInfo.BAD_REQUEST


def test_what_is_no_message_is_an_http_error(world: World) -> None:
    message = world.client().message(ir(signed_request(world.key)))
    assert world.post(BASES[0], message, content_type="application/octet-stream").status == 415
    assert world.post(BASES[0], b"").status == 400
    assert world.post(BASES[0], b"not DER").status == 400
    for path in (
        "/cmp/other/demo~issuing/tls-client",
        "/cmp/demo/demo~issuing/other",
        "/cmp/demo/demo~nobody/tls-client",
        "/cmpv2/demo/demo~issuing/tls-client/other",
        "/.well-known/cmp/p/other",
    ):
        assert world.post(path, message).status == 404
    assert world.post("/cmp/demo/nothing/tls-client", message).status == 400
    with pytest.raises(MethodNotAllowed):
        world.post(BASES[0], message, method="GET")


def test_without_a_default_there_is_no_path_without_a_label(tmp_path: Path) -> None:
    world = World(tmp_path, default_label=None)
    assert world.post("/.well-known/cmp", world.client().message(body("pkcs10"))).status == 404


def test_routes_take_messages_as_long_as_conf_allows(tmp_path: Path) -> None:
    world = World(tmp_path, max_message_bytes=8192)
    assert world.router.resolve("POST", BASES[0]).route.max_body_bytes == 8192
    assert info_types.CA_CERTS in OPERATIONS["getcacerts"].info_types
