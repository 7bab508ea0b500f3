"""Reference number and authorization code: as user name and password, and in the request itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cspd.authentication.secrets import NewSecret
from cspd.authority.approvals import RequestState
from cspd.authority.values import CAReference
from cspd.x509.csr import CHALLENGE_PASSWORD, OTP_CHALLENGE
from tests.protocols.est.cmc_client import Client as CMCClient
from tests.protocols.est.world import BASE, LABEL, World, certificates_of, header, only_certificate, with_attributes
from tests.support.authorities import ALICE, ISSUING
from tests.support.running import result_of


def secret_of(world: World, *, one_time: bool = True, tries: int = 3, **terms: Any) -> NewSecret:
    terms = {"purpose": "est", "ca": ISSUING, "profile": "tls-client", **terms}
    return result_of(
        world.secrets.create(
            identity="device 7", lifetime=timedelta(days=1), by=ALICE, one_time=one_time, tries=tries, **terms
        )
    )


def written(new: NewSecret, code: str | None = None) -> str:
    return f"{new.terms.reference}:{new.secret if code is None else code}"


def actors(world: World) -> list[str]:
    """For whom certificates were issued."""
    return [each.actor for each in world.house.audit.events if each.event == "certificate-issued"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, authentication=["secret"], users=[])


def test_a_one_time_password_gives_one_certificate(world: World) -> None:
    new = secret_of(world)
    only_certificate(world.ask("simpleenroll", world.csr(), user=written(new)))
    assert actors(world) == ["est:device 7"]
    again = world.ask("simpleenroll", world.csr("b.example"), user=written(new))
    assert (again.status, again.body) == (401, b"unknown reference number, or wrong secret\n")
    assert len(world.house.audited("certificate-issued")) == 1


def test_a_request_that_is_refused_does_not_use_it_up(world: World) -> None:
    new = secret_of(world)
    assert world.ask("simpleenroll", b"nothing", user=written(new)).status == 400
    only_certificate(world.ask("simpleenroll", world.csr(), user=written(new)))


def test_a_reusable_one_gives_several(world: World) -> None:
    new = secret_of(world, one_time=False)
    for name in ("a.example", "b.example"):
        only_certificate(world.ask("simpleenroll", world.csr(name), user=written(new)))


def test_guesses_are_counted(world: World) -> None:
    new = secret_of(world, tries=2)
    for _ in range(2):
        response = world.ask("simpleenroll", world.csr(), user=written(new, "GUESS"))
        assert (response.status, header(response, b"www-authenticate") is not None) == (401, True)
    assert world.ask("simpleenroll", world.csr(), user=written(new)).status == 401
    assert world.house.audited("enrollment-secret-locked")


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({"purpose": "cmp"}, 401),
        ({"ca": CAReference("demo", "root")}, 403),
        ({"profile": "tls-server"}, 403),
        ({"ca": None, "profile": None}, 200),
    ],
    ids=["another protocol", "another CA", "another profile", "any"],
)
def test_it_is_good_for_its_protocol_ca_and_profile(world: World, terms: dict[str, Any], status: int) -> None:
    new = secret_of(world, **terms)
    assert world.ask("simpleenroll", world.csr(), user=written(new)).status == status


def test_it_is_for_those_labels_that_say_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    new = secret_of(world)
    assert world.ask("simpleenroll", world.csr(), user=written(new)).status == 401
    assert result_of(world.secrets.list())[0].failures == 0


def test_users_and_secrets_go_together(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["basic", "secret"])
    for user in ("alice:se:cret", written(secret_of(world))):
        only_certificate(world.ask("simpleenroll", world.csr(), user=user))
    assert world.ask("simpleenroll", world.csr(), user="alice:wrong").status == 401


def test_it_gives_a_key_that_is_made_here_too(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["secret"], server_key_generation=True)
    new = secret_of(world)
    assert [world.ask("serverkeygen", world.csr(), user=written(new)).status for _ in range(2)] == [200, 401]


def test_a_request_that_waits_uses_it_up_and_its_client_may_ask_again(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["secret"], approval=True)
    new = secret_of(world)
    csr_der = world.csr()
    for _ in range(2):
        assert world.ask("simpleenroll", csr_der, user=written(new)).status == 202
    assert [each.state for each in result_of(world.secrets.list())] == ["used"]
    another = world.ask("simpleenroll", world.csr("b.example"), user=written(new))
    assert (another.status, another.body) == (409, b"the secret cannot be used any more\n")
    assert world.ask("simpleenroll", csr_der, user=written(new, "GUESS")).status == 401
    [kept] = result_of(world.approvals.list(state=RequestState.WAITING))
    result_of(world.approvals.approve(kept.id, ALICE))
    only_certificate(world.ask("simpleenroll", csr_der, user=written(new)))
    assert len(world.house.audited("certificate-issued")) == 1


def test_a_denied_request_does_not_give_it_back(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["secret"], approval=True)
    new = secret_of(world)
    csr_der = world.csr()
    world.ask("simpleenroll", csr_der, user=written(new))
    [kept] = result_of(world.approvals.list())
    result_of(world.approvals.deny(kept.id, ALICE, "not in the inventory"))
    assert world.ask("simpleenroll", csr_der, user=written(new)).status == 403
    assert world.ask("simpleenroll", world.csr("b.example"), user=written(new)).status == 409


@pytest.mark.parametrize("approval", [False, True], ids=["at once", "approved"])
def test_fullcmc_uses_it_up_as_well(tmp_path: Path, approval: bool) -> None:
    world = World(tmp_path, authentication=["secret"], approval=approval)
    new, client = secret_of(world), CMCClient()
    message = client.send(client.csr("cmc.example"))
    answers = [
        world.ask("fullcmc", message, user=written(new), content_type="application/pkcs7-mime").status for _ in range(2)
    ]
    assert answers[0] == 200
    assert [each.state for each in result_of(world.secrets.list())] == ["used"]
    assert answers[1] == (200 if approval else 401)
    assert len(world.house.audited("certificate-issued")) == (0 if approval else 1)


@pytest.fixture
def challenging(tmp_path: Path) -> World:
    return World(tmp_path, authentication=["challenge"], users=[])


@pytest.mark.parametrize("attribute", [CHALLENGE_PASSWORD, OTP_CHALLENGE], ids=["PKCS#9", "RFC 7894"])
@pytest.mark.parametrize("operation", ["simpleenroll", "serverkeygen"])
def test_a_request_brings_its_own_password(tmp_path: Path, attribute: str, operation: str) -> None:
    world = World(tmp_path, authentication=["challenge"], users=[], server_key_generation=True)
    new = secret_of(world)
    csr_der = with_attributes(world.key, {attribute: written(new)})
    assert world.ask(operation, csr_der).status == 200
    assert actors(world) == ["est:device 7"]
    # Used up; and a 401 would ask for a password that is of no use.
    assert world.ask(operation, csr_der).status == 403


@pytest.mark.parametrize(
    "value", ["", ":", "word", "REFERENCE:CODE", "\u00fc:\u00fc", "x" * 2000 + ":y"], ids=lambda value: value[:12]
)
def test_other_challenge_passwords_are_refused(challenging: World, value: str) -> None:
    secret_of(challenging)
    response = challenging.ask("simpleenroll", with_attributes(challenging.key, {CHALLENGE_PASSWORD: value}))
    assert response.status == 403
    assert header(response, b"www-authenticate") is None
    assert not challenging.house.audited("certificate-issued")


def test_without_one_it_is_said_what_is_needed(challenging: World) -> None:
    response = challenging.ask("simpleenroll", challenging.csr())
    assert (response.status, response.body.startswith(b"a one-time password is needed")) == (403, True)
    response = challenging.ask("simpleenroll", challenging.csr(), user="alice:se:cret")
    assert response.status == 403


def test_guesses_in_requests_are_counted(challenging: World) -> None:
    new = secret_of(challenging, tries=2)
    guess = with_attributes(challenging.key, {CHALLENGE_PASSWORD: written(new, "GUESS")})
    right = with_attributes(challenging.key, {CHALLENGE_PASSWORD: written(new)})
    assert [challenging.ask("simpleenroll", body).status for body in (guess, guess, right)] == [403] * 3
    assert challenging.house.audited("enrollment-secret-locked")


def test_a_request_with_a_password_has_to_be_signed_by_its_key(challenging: World) -> None:
    new = secret_of(challenging)
    csr_der = bytearray(with_attributes(challenging.key, {CHALLENGE_PASSWORD: written(new)}))
    csr_der[-1] ^= 1
    assert challenging.ask("simpleenroll", bytes(csr_der)).status == 400
    assert [each.state for each in result_of(challenging.secrets.list())] == ["usable"]


def test_a_password_does_not_stay_in_the_store_with_a_request_that_waits(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["challenge"], users=[], approval=True)
    new = secret_of(world)
    csr_der = with_attributes(world.key, {CHALLENGE_PASSWORD: written(new)}, name="a.example")
    assert world.ask("simpleenroll", csr_der).status == 202
    [kept] = result_of(world.approvals.list())
    assert kept.request.csr_der is None
    result_of(world.approvals.approve(kept.id, ALICE))
    certificate = x509.load_der_x509_certificate(only_certificate(world.ask("simpleenroll", csr_der)))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]


def test_where_passwords_are_of_use_a_client_is_asked_for_one(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["basic", "challenge"])
    new = secret_of(world)
    assert world.ask("simpleenroll", world.csr()).status == 401
    guess = with_attributes(world.key, {CHALLENGE_PASSWORD: written(new, "GUESS")})
    assert world.ask("simpleenroll", guess).status == 401
    only_certificate(world.ask("simpleenroll", with_attributes(world.key, {CHALLENGE_PASSWORD: written(new)})))


def test_a_label_of_its_own_may_have_them(tmp_path: Path) -> None:
    world = World(tmp_path, labels=[LABEL, {**LABEL, "id": "new", "authentication": ["secret", "certificate"]}])
    new = secret_of(world)
    current = only_certificate(world.ask("simpleenroll", world.csr(), user=written(new), path=f"{BASE}/new"))
    response = world.ask("simplereenroll", world.csr(), certificate=current, path=f"{BASE}/new")
    assert len(certificates_of(response)) == 1
