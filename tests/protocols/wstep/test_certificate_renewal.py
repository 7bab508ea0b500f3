"""Renewal by TLS client certificate, without a password: where conf switches it on, and nothing else there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import (
    CAReference,
    EnrollmentRequest,
    Requester,
    RevocationReason,
    RevocationRequest,
)
from cspd.directory.values import NameFlag
from cspd.http.message import Request
from cspd.http.router import NoRoute
from cspd.refusals import Unauthorized, Unavailable
from protocols.wstep.client_certificates import CERTIFICATE_NEEDED
from protocols.wstep.microsoft import security_identifier_uri
from protocols.wstep.tokens import RENEWAL_CERTIFICATE
from tests.protocols.wstep.accounts import ALICE, key_usage, template
from tests.protocols.wstep.cms_client import SigningCertificate, cmc, pkcs7
from tests.protocols.wstep.world import CERTIFICATE, QUERY, STATIC, USER_TOKEN, World
from tests.support.running import result_of

ALIAS = "/demo~issuing_CES_Certificate/service.svc/CES"
NOT_PROVED = ("Sender", "FailedAuthentication", CERTIFICATE_NEEDED)
BOB = ("bob", " pass word ")


def started(**service: Any) -> World:
    world = World(**{"certificate_renewal": True, **service})
    world.directory.known_templates = [template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME)]
    return world


@pytest.fixture
def world() -> World:
    return started()


def issued(world: World, **what: Any) -> SigningCertificate:
    certificate = world.issue(world.csr(usage=key_usage("digital_signature"), **what.pop("csr", {})), **what)
    return SigningCertificate(world.key, certificate.certificate.public_bytes(Encoding.DER))


def renewal(world: World, old: SigningCertificate) -> bytes:
    attributes = [(RENEWAL_CERTIFICATE, old.certificate_der)]
    csr_der = world.csr(attributes=attributes, key=ec.generate_private_key(ec.SECP256R1()))
    return pkcs7(csr_der, old)


def renew(world: World, old: SigningCertificate, by: SigningCertificate | None, path: str = CERTIFICATE) -> Any:
    certificate = None if by is None else by.certificate_der
    return world.ask(token=renewal(world, old), user=None, path=path, certificate=certificate)


@pytest.mark.parametrize("path", [CERTIFICATE, ALIAS])
def test_an_account_renews_by_its_certificate(world: World, path: str) -> None:
    old = issued(world)
    new = renew(world, old, old, path).certificate
    assert new.subject.rfc4514_string() == "CN=Alice Adams"
    assert new.public_key() != x509.load_der_x509_certificate(old.certificate_der).public_key()
    assert world.events("certificate-issued")[-1].actor == "wstep:EXAMPLE\\alice"


def test_cmc_renews_too(world: World) -> None:
    old = issued(world)
    attributes = [(RENEWAL_CERTIFICATE, old.certificate_der)]
    token = cmc(world.csr(attributes=attributes), signers=(old,))
    assert world.ask(token=token, user=None, path=CERTIFICATE, certificate=old.certificate_der).certificate


def test_another_certificate_of_the_same_account_counts(world: World) -> None:
    assert renew(world, issued(world), issued(world)).certificate


def test_the_certificate_of_another_account_does_not(world: World) -> None:
    old = issued(world)
    world.directory.accounts["bob"] = replace(ALICE, account_name="bob", sid="S-1-5-21-1-2-3-1009", common_name="Bob")
    by_bob = renew(world, old, issued(world, user=BOB))
    assert by_bob.error_code == 0x8009400E
    assert "another account" in by_bob.fault[2]


def test_nothing_but_renewals(world: World) -> None:
    old = issued(world)
    how: dict[str, Any] = {"user": None, "path": CERTIFICATE, "certificate": old.certificate_der}
    first = world.ask(token=world.csr(), **how)
    in_cms = world.ask(token=pkcs7(world.csr(), SigningCertificate(world.key, old.certificate_der)), **how)
    query = world.ask(request_type=QUERY, request_id="1", **how)
    for answer in (first, in_cms, query):
        assert answer.error_code == 0x8009400E
        assert answer.fault[2] == "only renewals are taken here"


def test_a_renewal_without_a_certificate_is_refused(world: World) -> None:
    old = issued(world)
    assert renew(world, old, None).fault == NOT_PROVED
    with_password = world.ask(token=renewal(world, old), path=CERTIFICATE)
    assert with_password.fault == NOT_PROVED
    assert len(world.events("wstep-authentication-failed")) == 2


def test_a_revoked_certificate_proves_nothing(world: World) -> None:
    old, other = issued(world), issued(world)
    result_of(
        world.house.revocation.revoke(
            RevocationRequest(
                ca=CAReference("demo", "issuing"),
                serial=x509.load_der_x509_certificate(other.certificate_der).serial_number,
                reason=RevocationReason.KEY_COMPROMISE,
                requester=Requester(protocol="test", identity="x"),
            )
        )
    )
    assert renew(world, old, other).fault[1] == "FailedAuthentication"


def test_an_expired_certificate_proves_nothing(world: World) -> None:
    old = issued(world)
    end = x509.load_der_x509_certificate(old.certificate_der).not_valid_after_utc
    world.house.clock.advance(end - world.house.clock.now())
    assert renew(world, old, old).fault == NOT_PROVED


def test_a_certificate_of_another_protocol_proves_nothing(world: World) -> None:
    old = issued(world)
    enrolled = world.house.issuance.enroll(
        EnrollmentRequest(
            ca=CAReference("demo", "issuing"),
            profile="tls-client",
            requester=Requester(protocol="est", identity="EXAMPLE\\alice"),
            csr_der=world.csr(subject="CN=x", template_oid=None, names=[security_identifier_uri(ALICE.sid)]),
        )
    )
    other = SigningCertificate(world.key, result_of(enrolled).certificate_der)
    assert renew(world, old, other).fault == NOT_PROVED


def test_certificates_of_other_cas_prove_nothing(world: World) -> None:
    old = issued(world)
    root = result_of(world.house.registry.get(CAReference("demo", "root")))
    assert root.certificate_der is not None
    assert renew(world, old, SigningCertificate(world.key, root.certificate_der)).fault == NOT_PROVED
    request = Request(
        method="POST", target=b"/", path="/", query="", headers=(), body=b"", client_certificate=old.certificate_der
    )
    assert result_of(world.certificates.account(request, CAReference("demo", "issuing"))).who == ALICE
    with pytest.raises(Unauthorized, match=CERTIFICATE_NEEDED):
        result_of(world.certificates.account(request, CAReference("demo", "root")))


def test_an_account_that_is_gone_or_may_not_log_on_renews_nothing(world: World) -> None:
    old = issued(world)
    world.directory.accounts.clear()
    assert renew(world, old, old).fault == NOT_PROVED
    world.directory.refusal = Unavailable("no domain controller answers")
    assert renew(world, old, old).fault[2] == "no domain controller answers"


def test_a_static_user_cannot_be_looked_up(world: World) -> None:
    request: dict[str, Any] = {"template_oid": None}
    old = issued(world, csr=request, user=STATIC)
    assert renew(world, old, old).fault == NOT_PROVED


@pytest.mark.requirement("R-CEG-010")
@pytest.mark.requirement("R-CEGI-024")
def test_it_is_off_by_default() -> None:
    world = started(certificate_renewal=None)
    old = issued(world)
    with pytest.raises(NoRoute):
        renew(world, old, old)
    assert world.post(b"", path=ALIAS, certificate=old.certificate_der).status == 404


@pytest.mark.requirement("R-CEG-123")
@pytest.mark.requirement("R-CEGI-024")
def test_other_urls_never_take_a_certificate(world: World) -> None:
    old = issued(world)
    assert renew(world, old, old, USER_TOKEN).fault[1] == "FailedAuthentication"
