"""What users and devices have, and what becomes of it."""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.values import CertificateState, EnrollmentRequest, Issued
from tests.protocols.mdm.world import ORDER, World
from tests.support.authorities import ISSUING
from tests.support.issuing import common_name
from tests.support.running import result_of
from tests.unit.digital_ids.office import ANN, PRODUCT


@pytest.fixture
def world() -> World:
    return World()


def order(world: World, **variables: str) -> Any:
    """The description of a new certificate."""
    status, value = world.json("IssuePKCS12", {**ORDER, "variables": {**ANN, **variables}, "keyType": "ec-p256"})
    assert status == 200, value
    return value["certificate"]


def named(certificate: Any) -> dict[str, str]:
    return {"ca": certificate["ca"], "serialNumber": certificate["serialNumber"]}


@pytest.mark.requirement("R-CEG-090")
def test_what_was_ordered_with_the_same_variables_is_found_together(world: World) -> None:
    first = order(world)
    world.house.clock.advance(timedelta(seconds=1))
    second = order(world, lastname="LEE")
    other = order(world, lastname="Li")
    assert first["userId"] == second["userId"] != other["userId"]
    status, value = world.json("FindCertificates", ORDER)
    assert status == 200
    assert (value["userId"], value["subject"]) == (first["userId"], "CN=Ann Lee,OU=Devices,O=My Company,C=US")
    assert value["certificates"] == [second, first]
    assert world.json("FindCertificates", {"userId": first["userId"]}) == (200, value)


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ({}, 400, "malformed"),
        ({"userId": "0" * 32, **ORDER}, 400, "malformed"),
        ({"digitalId": "My Phones"}, 400, "malformed"),
        ({"variables": ANN}, 400, "malformed"),
        ({"userId": "0" * 32}, 404, "no-such-user"),
        ({"userId": "x"}, 400, "malformed-message"),
        (ORDER, 404, "no-such-user"),
        ({**ORDER, "digitalId": "tablets"}, 404, "no-such-digital-id"),
        ({**ORDER, "variables": {}}, 400, "missing-variable"),
    ],
)
def test_what_is_not_found(world: World, message: Any, status: int, code: str) -> None:
    told, value = world.json("FindCertificates", message)
    assert (told, value["code"]) == (status, code)
    assert world.users == []


def test_states_change_by_hold_release_and_revocation(world: World) -> None:
    certificate = order(world)
    which = named(certificate)
    assert world.json("GetCertificate", which) == (200, certificate)

    status, held = world.json("HoldCertificate", which)
    assert (status, held["state"], held["revocationReason"]) == (200, "held", "certificateHold")
    assert state_of(world, certificate) is CertificateState.HELD

    status, released = world.json("ReleaseCertificate", which)
    assert (status, released["state"], released["revocationReason"]) == (200, "good", None)

    status, revoked = world.json("RevokeCertificate", {**which, "reason": "keyCompromise"})
    assert (status, revoked["state"], revoked["revocationReason"]) == (200, "revoked", "keyCompromise")
    assert revoked["revokedAt"] is not None
    assert state_of(world, certificate) is CertificateState.REVOKED
    assert world.house.audit.events[-1].actor == "mdm:workspace"

    status, value = world.json("RevokeCertificate", which)
    assert (status, value["code"]) == (409, "already-revoked")
    status, value = world.json("ReleaseCertificate", which)
    assert (status, value["code"]) == (409, "conflict")


def state_of(world: World, certificate: Any) -> CertificateState:
    """What relying parties hear."""
    authority = result_of(world.house.registry.get(ISSUING))
    status = result_of(world.house.status.status(authority.id, int(certificate["serialNumber"], 16)))
    assert status is not None
    return status.state


def test_a_certificate_expires(world: World) -> None:
    certificate = order(world)
    world.house.clock.advance(timedelta(days=400))
    status, value = world.json("GetCertificate", named(certificate))
    assert (status, value["state"]) == (200, "expired")


@pytest.mark.parametrize("operation", ["GetCertificate", "RevokeCertificate", "HoldCertificate", "ReleaseCertificate"])
def test_certificates_of_nobody_here_are_out_of_reach(world: World, operation: str) -> None:
    """A product must not revoke the server certificates of the same CA."""
    key = order(world)
    issued = result_of(
        world.house.issuance.enroll(
            EnrollmentRequest(
                ca=ISSUING,
                profile="mdmws-digital-signature",
                requester=PRODUCT,
                public_key_der=public_key_of(key),
                subject=common_name("not a digital ID"),
            )
        )
    )
    assert isinstance(issued, Issued)
    for which, code in (
        ({"ca": "demo~issuing", "serialNumber": f"{issued.serial:x}"}, "no-such-certificate"),
        ({"ca": "demo~root", "serialNumber": key["serialNumber"]}, "no-such-certificate"),
        ({"ca": "demo~nowhere", "serialNumber": "1"}, "not-found"),
    ):
        status, value = world.json(operation, which)
        assert (status, value["code"]) == (404, code)


def public_key_of(certificate: Any) -> bytes:
    key = x509.load_der_x509_certificate(b64decode(certificate["certificate"])).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("certificateHold", 422, "bad-revocation-reason"),
        ("removeFromCRL", 422, "bad-revocation-reason"),
        ("nonsense", 400, "malformed-message"),
        (1, 400, "malformed-message"),
    ],
)
def test_reasons_that_revoke_nothing(world: World, reason: Any, status: int, code: str) -> None:
    certificate = order(world)
    told, value = world.json("RevokeCertificate", {**named(certificate), "reason": reason})
    assert (told, value["code"]) == (status, code)
    assert state_of(world, certificate) is CertificateState.GOOD
