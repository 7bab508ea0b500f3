"""Revocation, which is no operation of the RFC: of a client's own certificate, or by serial number by its user."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from cspd.authority.values import RevocationReason
from cspd.refusals import Malformed
from protocols.est.codec import decode_revocation_form
from protocols.est.messages import RevocationForm
from tests.protocols.est.world import World
from tests.support.authorities import ISSUING

FORM = "application/x-www-form-urlencoded"
ALICE_S, BOB_S = "alice:se:cret", "bob:other"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def serial_of(certificate_der: bytes) -> int:
    return x509.load_der_x509_certificate(certificate_der).serial_number


def revoke(world: World, form: str, user: str | None = ALICE_S, certificate: bytes | None = None) -> int:
    return world.ask("revoke", form.encode(), user=user, certificate=certificate, content_type=FORM).status


def test_a_user_revokes_what_it_has_enrolled(world: World) -> None:
    serial = serial_of(world.enroll())
    assert revoke(world, f"serial={serial:X}&reason=keyCompromise") == 200
    [change] = world.house.changes
    assert (change.serial, change.status.reason) == (serial, RevocationReason.KEY_COMPROMISE)
    assert revoke(world, f"serial={serial:x}") == 409


def test_a_user_revokes_nothing_else(world: World) -> None:
    own = world.enroll()
    serial = serial_of(own)
    authority = world.house.get(ISSUING)
    of_acme = world.house.issue(authority, 77)
    assert revoke(world, f"serial={serial:x}", user=BOB_S) == 404
    assert revoke(world, f"serial={of_acme:x}") == 404
    assert revoke(world, "serial=abcdef") == 404
    assert revoke(world, f"serial={serial:x}", user=None) == 401
    assert revoke(world, f"serial={serial:x}", user="alice:wrong") == 401
    assert revoke(world, "serial=abcdef", certificate=b"\x30\x00") == 404
    assert revoke(world, f"serial={serial:x}&reason=cACompromise") == 400
    assert world.house.changes == []


def test_a_holder_may_name_its_own_certificate_and_no_other(world: World) -> None:
    own, other = world.enroll(), world.enroll(world.csr("b.example"))
    assert revoke(world, f"serial={serial_of(other):x}", user=None, certificate=own) == 401
    assert world.house.changes == []
    assert revoke(world, f"serial={serial_of(own):x}", user=None, certificate=own) == 200
    assert [each.serial for each in world.house.changes] == [serial_of(own)]


def test_where_passwords_do_not_count_nobody_revokes_by_serial(tmp_path: Path) -> None:
    world = World(tmp_path)
    own = world.enroll()
    strict = World(tmp_path, house=world.house, authentication=["certificate"], users=[])
    assert revoke(strict, "serial=1", certificate=own) == 403


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"", RevocationForm()),
        (b"\r\n", RevocationForm()),
        (b"reason=superseded", RevocationForm(reason="superseded")),
        (b"serial=00fF", RevocationForm(serial=255)),
        (b"serial=1&reason=superseded", RevocationForm(serial=1, reason="superseded")),
        (b"reason=superseded&serial=1\n", RevocationForm(serial=1, reason="superseded")),
    ],
)
def test_forms(body: bytes, form: RevocationForm) -> None:
    assert decode_revocation_form(body) == form


@pytest.mark.parametrize(
    "body",
    [
        b"serial=",
        b"serial=0x1f",
        b"serial=-1",
        b"serial=1_0",
        b"serial=" + b"f" * 41,
        b"serial=1&serial=2",
        b"serial=\xef\xbc\x91",
        b"reason=",
        b"reason=key%43ompromise",
        b"reason",
        b"reason=superseded&",
        b"reason=superseded&other=1",
        b"reason=" + b"x" * 300,
    ],
)
def test_other_bodies_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="the body is empty, or has reason=NAME and serial=HEXADECIMAL"):
        decode_revocation_form(body)
