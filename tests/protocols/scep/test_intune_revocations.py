"""Intune's orders to revoke are carried out and answered, once or twice."""

from __future__ import annotations

import pytest
from cryptography import x509

from cspd.authority.values import CAReference, CertificateState, RevocationReason
from cspd.refusals import Unavailable
from protocols.scep.intune.revocations import MAX_ROUNDS
from protocols.scep.intune.values import ResultCode, RevocationOrder, RevocationResult
from tests.protocols.scep.intune_world import IntuneWorld
from tests.support.authorities import ISSUING, ROOT
from tests.support.running import result_of


@pytest.fixture
def world() -> IntuneWorld:
    return IntuneWorld()


def order(certificate: x509.Certificate, context: str = "c1", **values: str) -> RevocationOrder:
    """To revoke it."""
    named = {
        "serial_number": format(certificate.serial_number, "X"),
        "issuer_name": certificate.issuer.rfc4514_string(),
    }
    return RevocationOrder(context=context, **{**named, **values})


def codes(world: IntuneWorld) -> list[ResultCode]:
    """Of the results, in order."""
    return [result.code for report in world.intune.reports for result in report]


@pytest.mark.requirement("R-CEG-080")
@pytest.mark.requirement("R-CEGI-120")
def test_an_order_is_carried_out_and_answered(world: IntuneWorld) -> None:
    certificate, other = world.enroll(), world.enroll(world.csr(key=2), key=2)
    world.intune.orders = [order(certificate)]
    result_of(world.revocations().run())
    status = world.world.status(certificate)
    assert (status.state, status.reason) == (CertificateState.REVOKED, RevocationReason.UNSPECIFIED)
    assert world.world.status(other).state is CertificateState.GOOD
    assert world.intune.reports == [[RevocationResult(context="c1")]]
    assert world.intune.downloads == [(certificate.issuer.rfc4514_string(), 100)]
    [event] = [each for each in world.house.audit.events if each.event == "certificate-revoked"]
    assert event.actor == "intune:test.example.com"


@pytest.mark.requirement("R-CEG-080")
@pytest.mark.requirement("R-CEGI-120")
def test_a_certificate_that_is_revoked_already_is_a_success(world: IntuneWorld) -> None:
    certificate = world.enroll()
    world.house.revoke(world.house.get(ISSUING), certificate.serial_number)
    world.intune.orders = [order(certificate)]
    result_of(world.revocations().run())
    assert codes(world) == [ResultCode.NONE]
    assert world.world.status(certificate).reason is RevocationReason.SUPERSEDED, "as it was"


@pytest.mark.requirement("R-CEGI-120")
def test_a_process_that_dies_before_it_answers_does_no_harm(world: IntuneWorld) -> None:
    certificate = world.enroll()
    world.intune.orders = [order(certificate)]
    world.intune.upload = Unavailable("Intune cannot be asked")
    with pytest.raises(Unavailable):
        result_of(world.revocations().run())
    assert world.world.status(certificate).state is CertificateState.REVOKED
    world.intune.upload = None
    world.intune.orders = [order(certificate)]  # since it has heard nothing
    result_of(world.revocations().run())
    assert codes(world) == [ResultCode.NONE]


@pytest.mark.requirement("R-CEG-080")
def test_what_cannot_be_carried_out_is_told_by_its_code(world: IntuneWorld) -> None:
    certificate = world.enroll()
    world.intune.orders = [
        order(certificate, "no such serial", serial_number="01"),
        order(certificate, "no serial", serial_number="certificate"),
        order(certificate, "another CA", issuer_name="CN=Somebody"),
        order(certificate, "no name", issuer_name="\x00="),
        order(certificate, "fine"),
    ]
    result_of(world.revocations().run())
    assert codes(world) == [
        ResultCode.CERTIFICATE_NOT_FOUND,
        ResultCode.PARAMETER_DATA_INVALID,
        ResultCode.CERTIFICATE_NOT_FOUND,
        ResultCode.CERTIFICATE_NOT_FOUND,
        ResultCode.NONE,
    ]
    [report] = world.intune.reports
    assert [each.context for each in report][-1] == "fine"
    assert all(bool(each.message) is not each.succeeded for each in report)


def test_a_store_that_does_not_answer_is_for_intune_to_try_again(
    world: IntuneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = world.enroll()

    async def unavailable(*_: object) -> None:
        raise Unavailable("the store does not answer")

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    for revoke, expected in ((unavailable, ResultCode.SERVICE_UNAVAILABLE), (broken, ResultCode.RETRYABLE)):
        monkeypatch.setattr(world.house.revocation, "revoke", revoke)
        world.intune.reports.clear()
        world.intune.orders = [order(certificate)]
        result_of(world.revocations().run())
        assert codes(world) == [expected]
        assert expected >= 4100


@pytest.mark.parametrize("written", ["lower", "pairs", "colons", "0x", "zeros"])
def test_serial_numbers_are_read_as_products_write_them(world: IntuneWorld, written: str) -> None:
    certificate = world.enroll()
    digits = format(certificate.serial_number, "040x")
    pairs = [digits[start : start + 2] for start in range(0, len(digits), 2)]
    forms = {
        "lower": digits.lstrip("0"),
        "pairs": " ".join(pairs).upper(),
        "colons": ":".join(pairs),
        "0x": f"0x{digits}",
        "zeros": digits,
    }
    world.intune.orders = [order(certificate, serial_number=forms[written])]
    result_of(world.revocations().run())
    assert codes(world) == [ResultCode.NONE]


@pytest.mark.parametrize("written", ["common name", "Windows", "none", "spaces"])
def test_issuers_are_read_as_products_write_them(world: IntuneWorld, written: str) -> None:
    certificate = world.enroll()
    parts = certificate.issuer.rfc4514_string().split(",")
    assert certificate.issuer.rfc4514_string().startswith("CN=")
    forms = {
        "common name": parts[0].removeprefix("CN="),
        "Windows": ", ".join(reversed(parts)),
        "none": "",
        "spaces": ", ".join(parts),
    }
    world.intune.orders = [order(certificate, issuer_name=forms[written])]
    result_of(world.revocations().run())
    assert codes(world) == [ResultCode.NONE]


@pytest.mark.requirement("R-CEGI-118")
def test_an_order_for_another_ca_of_the_application_is_carried_out_there(world: IntuneWorld) -> None:
    other = CAReference("demo", "other")
    world.house.make_issuing(other, profiles=("tls-server",))
    serial = world.house.issue(world.house.get(other), 0x77)
    name = world.house.get(other).subject.rfc4514_string()
    world.intune.orders = [RevocationOrder(context="c1", serial_number="77", issuer_name=name)]
    gone = CAReference("demo", "gone")
    result_of(world.revocations(siblings=[gone, ISSUING, other]).run())
    assert codes(world) == [ResultCode.NONE]
    status = result_of(world.house.status.status(world.house.get(other).id, serial))
    assert status is not None
    assert status.state is CertificateState.REVOKED
    world.intune.orders = [RevocationOrder(context="c1", serial_number="77", issuer_name=name)]
    result_of(world.revocations(siblings=[ISSUING, ROOT]).run())
    assert codes(world)[-1] is ResultCode.CERTIFICATE_NOT_FOUND, "that is no CA of Intune's"


@pytest.mark.requirement("R-CEGI-120")
def test_all_orders_are_fetched_some_at_a_time(world: IntuneWorld) -> None:
    certificates = [world.enroll(world.csr(key=key), key=key) for key in (1, 2, 3)]
    world.intune.orders = [order(each, f"c{number}") for number, each in enumerate(certificates)]
    result_of(world.revocations(limit=2).run())
    assert [len(report) for report in world.intune.reports] == [2, 1]
    assert len(world.intune.downloads) == 2
    assert all(world.world.status(each).state is CertificateState.REVOKED for each in certificates)


def test_a_service_that_never_ends_does_not_keep_the_job(world: IntuneWorld) -> None:
    certificate = world.enroll()
    world.intune.orders = [order(certificate)] * (MAX_ROUNDS * 2)
    result_of(world.revocations(limit=1).run())
    assert len(world.intune.reports) == MAX_ROUNDS


def test_without_orders_nothing_is_uploaded(world: IntuneWorld) -> None:
    result_of(world.revocations().run())
    assert world.intune.reports == []


def test_a_held_certificate_is_revoked_for_good(world: IntuneWorld) -> None:
    certificate = world.enroll()
    world.house.revoke(world.house.get(ISSUING), certificate.serial_number, RevocationReason.CERTIFICATE_HOLD)
    world.intune.orders = [order(certificate)]
    result_of(world.revocations().run())
    assert world.world.status(certificate).state is CertificateState.REVOKED
