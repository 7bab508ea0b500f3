"""Who may enroll at a plain SCEP URL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from twisted.logger import capturedLogs

from cspd.audit.events import Outcome
from cspd.authority.approvals import Approvals, ApprovalTerms
from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Pending, Requester
from cspd.refusals import Conflict, Forbidden, Refused, Unauthorized
from protocols.scep import challenges
from protocols.scep.challenges import NO_IDENTITY, STATIC_IDENTITY
from protocols.scep.errors import FAIL_INFO
from protocols.scep.messages import FailInfo
from tests.protocols.scep.challenge_office import DAY, STATIC, TERMS, Office, challenge_text
from tests.support.running import result_of

RIGHT = STATIC.decode()
ACCEPTED = "accepted"
MISSING = "a challengePassword is needed"
WRONG = "the challengePassword is wrong"


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.requirement("R-CEG-063")
@pytest.mark.parametrize(
    ("static", "insecure", "sent", "answer"),
    [
        (STATIC, False, RIGHT, ACCEPTED),
        (STATIC, False, None, MISSING),
        (STATIC, False, "", MISSING),
        (STATIC, False, "wrong", WRONG),
        (STATIC, False, RIGHT + " ", WRONG),
        (STATIC, True, RIGHT, ACCEPTED),
        (STATIC, True, None, ACCEPTED),
        (STATIC, True, "", ACCEPTED),
        (STATIC, True, "wrong", WRONG),
        (None, False, None, MISSING),
        (None, False, "", MISSING),
        (None, False, "wrong", WRONG),
        (None, True, None, ACCEPTED),
        (None, True, "anything", ACCEPTED),
    ],
)
def test_a_static_challenge_is_needed_unless_the_service_is_insecure(
    office: Office, static: bytes | None, insecure: bool, sent: str | None, answer: str
) -> None:
    if answer == ACCEPTED:
        identity = office.authorize(sent, static=static, insecure=insecure).identity
        assert identity == (STATIC_IDENTITY if sent == RIGHT else NO_IDENTITY)
        return
    with pytest.raises(Unauthorized, match=f"^{answer}$"):
        office.authorize(sent, static=static, insecure=insecure)
    assert FAIL_INFO[Unauthorized] is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.requirement("R-CEG-064")
@pytest.mark.requirement("R-CEGI-093")
@pytest.mark.parametrize("verdict", [True, False])
def test_nothing_but_a_comparison_in_constant_time_decides(
    office: Office, monkeypatch: pytest.MonkeyPatch, verdict: bool
) -> None:
    compared: list[tuple[int, int]] = []

    def compare_digest(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return verdict

    monkeypatch.setattr(challenges, "compare_digest", compare_digest)
    for sent in (RIGHT, "wrong", "w" * 4000):
        if verdict:
            assert office.authorize(sent).identity == STATIC_IDENTITY
        else:
            with pytest.raises(Unauthorized):
                office.authorize(sent)
    assert compared == [(32, 32)] * 3


@pytest.mark.requirement("R-CEG-064")
def test_no_challenge_is_told_to_anybody_but_its_client(office: Office) -> None:
    new = office.create()
    sent = ["a wrong one", challenge_text(new)[:-1], f"{new.terms.reference}:wrong-code", "sixteenAndMoreLetters"]
    told = []
    with capturedLogs() as logs:
        authorizer = office.authorizer()
        for each in [RIGHT, challenge_text(new), *sent]:
            request = office.request(each)
            told.append(repr(request))
            try:
                told.append(repr(result_of(authorizer.authorize(request))))
            except Refused as refusal:
                told += [repr(refusal), refusal.reason, refusal.detail]
    told += [repr(logs), repr(office.house.audit.events), repr(authorizer), repr(authorizer._rules)]
    for secret in (RIGHT, new.secret, "a wrong one", "wrong-code", "sixteenAndMoreLetters", "sixteenAnd"):
        assert all(secret not in text for text in told), secret


def test_each_refusal_is_audited(office: Office) -> None:
    for sent in (None, "wrong"):
        with pytest.raises(Unauthorized):
            office.authorize(sent)
    missing, wrong = office.house.audit.events[-2:]
    assert (missing.event, missing.actor, missing.outcome) == (
        "scep-challenge-refused",
        "scep:192.0.2.7",
        Outcome.REFUSED,
    )
    assert missing.fields == {
        "ca": "demo~issuing",
        "profile": "tls-client",
        "subject": "CN=a.example",
        "transaction": "t-1",
        "reason": MISSING,
        "request_id": "r-1",
    }
    assert wrong.fields["reason"] == WRONG


@pytest.mark.parametrize("separator", ["", ":"])
def test_a_one_time_challenge_gives_one_certificate(office: Office, separator: str) -> None:
    new = office.create()
    sent = new.terms.reference + separator + new.secret
    request = office.request(sent)
    authorization = office.authorize(sent)
    assert authorization.identity == "device 7"
    assert isinstance(office.enroll(request, authorization), Issued)
    with pytest.raises(Unauthorized, match=f"^{WRONG}$"):
        office.authorize(sent)


def test_two_devices_with_one_challenge_at_one_moment_get_one_certificate(office: Office) -> None:
    sent = challenge_text(office.create())
    first, second = office.request(sent), office.request(sent)
    authorizer = office.authorizer()
    permits = [result_of(authorizer.authorize(each)) for each in (first, second)]
    assert isinstance(office.enroll(first, permits[0]), Issued)
    with pytest.raises(Conflict, match="cannot be used any more"):
        office.enroll(second, permits[1])


def test_a_request_that_waits_uses_its_challenge_up(office: Office) -> None:
    sent = challenge_text(office.create())
    request = office.request(sent)
    authorization = office.authorize(sent)
    house = office.house
    approvals = Approvals(
        clock=house.clock,
        random=house.random,
        database=house.database,
        issuance=house.pipeline,
        authorities=house.authorities,
        certificates=Certificates(house.database),
        audit=house.audit,
    )
    enrollment = EnrollmentRequest(
        ca=request.terms.ca,
        profile=request.terms.profile,
        csr_der=request.csr_der,
        requester=Requester(protocol="scep", identity=authorization.identity),
    )
    terms = ApprovalTerms(lifetime=DAY, retry_after=timedelta(minutes=1))
    kept = result_of(approvals.enroll(enrollment, terms, kept_with=authorization.kept_with))
    assert isinstance(kept, Pending)
    with pytest.raises(Unauthorized):
        office.authorize(sent)


def test_a_refused_request_does_not_use_its_challenge_up(office: Office) -> None:
    sent = challenge_text(office.create())
    office.authorize(sent)
    assert office.authorize(sent).identity == "device 7"


def test_wrong_codes_lock_a_challenge(office: Office) -> None:
    new = office.create(tries=2)
    for _ in range(2):
        with pytest.raises(Unauthorized, match=WRONG):
            office.authorize(new.terms.reference + "A" * 24)
    with pytest.raises(Unauthorized, match=WRONG):
        office.authorize(challenge_text(new))
    assert "enrollment-secret-locked" in [event.event for event in office.house.audit.events]


def test_a_challenge_is_for_its_ca_and_profile(office: Office) -> None:
    for values in ({"ca": CAReference("demo", "other")}, {"profile": "tls-server"}):
        sent = challenge_text(office.create(**values))
        with pytest.raises(Forbidden, match="another CA or profile"):
            office.authorize(sent)
        assert office.house.audit.events[-1].event == "scep-challenge-refused"


@pytest.mark.parametrize(
    ("subject", "names", "is_right"),
    [
        ("CN=a.example", ("a.example",), True),
        ("CN=A.EXAMPLE,O=Example,C=DE", ("a.example", "10.0.0.7"), True),
        ("CN=a.example", (), True),
        ("", ("a.example",), True),
        ("O=Example", (), False),
        ("CN=b.example", ("a.example",), False),
        ("CN=a.example", ("a.example", "b.example"), False),
        ("CN=a.example+UID=admin", (), False),
        ("CN=a.example,CN=b.example", (), False),
    ],
)
def test_a_challenge_may_be_for_certain_names(
    office: Office, subject: str, names: tuple[str, ...], is_right: bool
) -> None:
    sent = challenge_text(office.create(names=["a.example", "10.0.0.7"]))
    kinds = [x509.IPAddress(ip_address(name)) if name[0] == "1" else x509.DNSName(name) for name in names]
    request = office.request(sent, subject=x509.Name.from_rfc4514_string(subject), names=tuple(kinds))
    if is_right:
        assert result_of(office.authorizer().authorize(request))
        return
    with pytest.raises(Forbidden, match="for a request with other names"):
        result_of(office.authorizer().authorize(request))


@pytest.mark.parametrize("values", [{"purpose": "est"}, {"lifetime": timedelta(minutes=1)}])
def test_what_is_none_any_more_is_wrong(office: Office, values: dict[str, object]) -> None:
    sent = challenge_text(office.create(**values))
    office.house.clock.advance(timedelta(minutes=2))
    with pytest.raises(Unauthorized, match=WRONG):
        office.authorize(sent)


def test_one_time_challenges_can_be_switched_off(office: Office) -> None:
    sent = challenge_text(office.create())
    with pytest.raises(Unauthorized, match=WRONG):
        office.authorize(sent, one_time=False)
    assert office.authorize(RIGHT, one_time=False).identity == STATIC_IDENTITY


def test_an_insecure_service_with_a_password_takes_one_time_challenges_too(office: Office) -> None:
    sent = challenge_text(office.create())
    assert office.authorize(sent, insecure=True).recorded is not None


def test_only_the_static_challenge_may_encrypt_envelopes(office: Office) -> None:
    office.create()
    assert result_of(office.authorizer().passwords(TERMS)) == (STATIC,)
    assert result_of(office.authorizer(static=None).passwords(TERMS)) == ()


@pytest.mark.requirement("R-CEGI-093")
def test_each_certificate_without_challenge_is_logged(office: Office) -> None:
    authorizer = office.authorizer(insecure=True)
    with capturedLogs() as logs:
        for sent in (None, RIGHT):
            request = office.request(sent)
            authorization = result_of(authorizer.authorize(request))
            issued = office.enroll(request, authorization)
            assert isinstance(issued, Issued)
            result_of(authorizer.issued(request, authorization, issued))
    [event] = [each for each in logs if each.get("event") == "scep-issued-without-challenge"]
    assert (event["ca"], event["profile"], event["request_id"]) == ("demo~issuing", "tls-client", "r-1")


WAIVED = replace(TERMS, renewal_without_challenge=True)


@pytest.mark.requirement("R-CEG-070")
def test_a_renewal_needs_a_challenge_unless_that_is_waived(office: Office) -> None:
    signer, replaces = office.enrolled()
    authorizer = office.authorizer()
    with pytest.raises(Unauthorized, match=MISSING):
        result_of(authorizer.authorize(office.request(signer=signer, replaces=replaces)))
    with pytest.raises(Unauthorized, match=WRONG):
        result_of(authorizer.authorize(office.request("wrong", signer=signer, replaces=replaces)))
    assert result_of(authorizer.authorize(office.request(RIGHT, signer=signer, replaces=replaces)))
    for sent in (None, "one that was used long ago"):
        request = office.request(sent, signer=signer, replaces=replaces, terms=WAIVED)
        assert result_of(authorizer.authorize(request)).identity == f"certificate {signer.serial_number:x}"


def test_who_renews_nothing_needs_a_challenge(office: Office) -> None:
    signer, _ = office.enrolled()
    with pytest.raises(Unauthorized, match=MISSING):
        result_of(office.authorizer().authorize(office.request(signer=signer, terms=WAIVED)))
