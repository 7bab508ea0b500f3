"""Enrollment secrets, with certificates of a real pipeline."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from cspd.authentication.secrets import EnrollmentSecrets, GivenSecret, NewSecret
from cspd.authority.approvals import Approvals, ApprovalTerms, KeptWith
from cspd.authority.certificates import Certificates
from cspd.authority.interfaces import Recorded
from cspd.authority.values import CAReference, Issued, Pending, Requester
from cspd.keys.encryption import MasterKey
from cspd.refusals import Conflict, Forbidden, LimitExceeded, Malformed, NotFound, Unauthorized, Unavailable
from tests.support.issuing import House, common_name
from tests.support.running import result_of

ADMINISTRATOR = Requester(protocol="cspctl", identity="root")
ISSUING = CAReference("demo", "issuing")
DAY = timedelta(days=1)


class Office:
    """Makes secrets in a house that issues certificates."""

    def __init__(self, *, master: bytes | None = b"m" * 32) -> None:
        self.house = House()
        key = None if master is None else MasterKey(master, Random(2).randbytes)
        self.secrets = self.with_key(key)

    def with_key(self, key: MasterKey | None) -> EnrollmentSecrets:
        house = self.house
        return EnrollmentSecrets(
            clock=house.clock, random=Random(1), database=house.database, audit=house.audit, master_key=key
        )

    def create(self, *, one_time: bool = True, tries: int = 3) -> NewSecret:
        return result_of(
            self.secrets.create(
                purpose="est",
                identity="device 7",
                lifetime=DAY,
                by=ADMINISTRATOR,
                ca=ISSUING,
                profile="tls-client",
                one_time=one_time,
                tries=tries,
            )
        )

    def check(self, new: NewSecret, secret: str | None = None, purpose: str = "est") -> None:
        result_of(self.secrets.check(purpose, new.terms.reference, new.secret if secret is None else secret))

    def is_refused(self, new: NewSecret, secret: str | None = None, purpose: str = "est") -> None:
        with pytest.raises(Unauthorized, match=r"^unknown reference number, or wrong secret$"):
            self.check(new, secret, purpose)

    def enroll(self, recorded: Recorded) -> Issued:
        return result_of(self.house.pipeline.enroll(self.house.request(), recorded=recorded))


@pytest.fixture
def office() -> Office:
    return Office()


def test_who_has_the_secret_is_whom_it_was_made_for(office: Office) -> None:
    new = office.create()
    terms = result_of(office.secrets.check("est", new.terms.reference, new.secret))
    assert terms == new.terms
    assert (terms.identity, terms.ca, terms.profile) == ("device 7", "demo~issuing", "tls-client")
    assert result_of(office.secrets.find("est", new.terms.reference)).secret == new.secret.encode()


def test_everything_else_is_refused_with_one_text(office: Office) -> None:
    new = office.create()
    office.is_refused(new, "wrong")
    office.is_refused(new, purpose="cmp")
    for reference in ("", "A" * 16, "A" * 5000, "\0", "\u00fc"):
        with pytest.raises(Unauthorized, match=r"^unknown reference number, or wrong secret$"):
            result_of(office.secrets.check("est", reference, new.secret))
    office.house.clock.advance(DAY)
    office.is_refused(new)


def test_wrong_tries_lock_a_secret(office: Office) -> None:
    new = office.create(tries=3)
    for _ in range(2):
        office.is_refused(new, "wrong")
    office.check(new)
    office.is_refused(new, "wrong")
    office.is_refused(new)
    assert [event.event for event in office.house.audit.events] == [
        "enrollment-secret-created",
        "enrollment-secret-locked",
    ]
    assert [each.state for each in result_of(office.secrets.list())] == ["locked"]


def test_a_one_time_secret_gives_one_certificate_to_two_clients_at_once(office: Office) -> None:
    """Both have been let in before either has its certificate."""
    new = office.create()
    first, second = (result_of(office.secrets.check("est", new.terms.reference, new.secret)) for _ in range(2))
    issued = office.enroll(office.secrets.use(first))
    with pytest.raises(Conflict, match="cannot be used any more"):
        office.enroll(office.secrets.use(second))
    page = result_of(Certificates(office.house.database).list())
    assert [record.serial for record in page.records] == [issued.serial]
    office.is_refused(new)


def test_a_used_secret_is_found_by_who_says_that_it_may_be(office: Office) -> None:
    new = office.create(tries=2)
    office.enroll(office.secrets.use(new.terms))
    office.is_refused(new)
    reference = new.terms.reference
    terms = result_of(office.secrets.check("est", reference, new.secret, even_used=True))
    assert (terms.state, terms.identity) == ("used", "device 7")
    for hook in (office.secrets.use(terms), _as_recorded(office.secrets.use_for_request(terms))):
        with pytest.raises(Conflict, match="cannot be used any more"):
            office.enroll(hook)
    for guess in ("wrong", "wrong"):
        with pytest.raises(Unauthorized):
            result_of(office.secrets.check("est", reference, guess, even_used=True))
    with pytest.raises(Unauthorized):  # locked
        result_of(office.secrets.check("est", reference, new.secret, even_used=True))


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_no_used_secret_outlives_its_end(office: Office, end: str) -> None:
    new = office.create()
    office.enroll(office.secrets.use(new.terms))
    if end == "revoked":
        result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))
    else:
        office.house.clock.advance(DAY)
    with pytest.raises(Unauthorized):
        result_of(office.secrets.check("est", new.terms.reference, new.secret, even_used=True))


@pytest.fixture
def approvals(office: Office) -> Approvals:
    house = office.house
    return Approvals(
        clock=house.clock,
        random=Random(5),
        database=house.database,
        authorities=house.authorities,
        certificates=Certificates(house.database),
        issuance=house.pipeline,
        audit=house.audit,
    )


def test_a_request_that_waits_uses_up_a_one_time_secret(office: Office, approvals: Approvals) -> None:
    """Both requests have been let in before either is kept."""
    new = office.create()
    first, second = (result_of(office.secrets.check("est", new.terms.reference, new.secret)) for _ in range(2))
    request, other = office.house.request(), office.house.request(subject=common_name("b.example"))
    terms = ApprovalTerms(retry_after=DAY, lifetime=DAY)
    kept = result_of(approvals.enroll(request, terms, kept_with=office.secrets.use_for_request(first)))
    assert isinstance(kept, Pending)
    with pytest.raises(Conflict, match="cannot be used any more"):
        result_of(approvals.enroll(other, terms, kept_with=office.secrets.use_for_request(second)))
    assert [each.id for each in result_of(approvals.list())] == [kept.request_id]
    assert [each.state for each in result_of(office.secrets.list())] == ["used"]
    again = result_of(approvals.enroll(request, terms, kept_with=office.secrets.use_for_request(second)))
    assert again == kept, "the same request is not kept twice, and needs no secret"


@pytest.mark.parametrize("end", ["revoked", "locked"])
def test_no_request_is_kept_by_a_secret_that_ended_meanwhile(office: Office, approvals: Approvals, end: str) -> None:
    new = office.create(tries=1)
    if end == "revoked":
        result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))
    else:
        office.is_refused(new, "wrong")
    hook = office.secrets.use_for_request(new.terms)
    with pytest.raises(Conflict, match="cannot be used any more"):
        result_of(
            approvals.enroll(office.house.request(), ApprovalTerms(retry_after=DAY, lifetime=DAY), kept_with=hook)
        )
    assert result_of(approvals.list()) == []


def _as_recorded(hook: KeptWith) -> Recorded:
    return lambda connection, authority_id, serial: hook(connection, "a request")


def test_a_shared_secret_gives_several_until_it_is_revoked(office: Office) -> None:
    new = office.create(one_time=False)
    for _ in range(2):
        office.check(new)
        office.enroll(office.secrets.use(new.terms))
    result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))
    with pytest.raises(Conflict, match="cannot be used any more"):
        office.enroll(office.secrets.use(new.terms))
    office.is_refused(new)
    with pytest.raises(Conflict, match="revoked before"):
        result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))
    with pytest.raises(NotFound):
        result_of(office.secrets.revoke("none", ADMINISTRATOR))


def test_a_secret_is_for_its_ca_and_profile(office: Office) -> None:
    terms = office.create().terms
    terms.require(ISSUING, "tls-client")
    for ca, profile in ((CAReference("demo", "root"), "tls-client"), (ISSUING, "tls-server")):
        with pytest.raises(Forbidden):
            terms.require(ca, profile)


def test_without_the_right_master_key_there_are_no_secrets(office: Office) -> None:
    new = office.create()
    for key in (None, MasterKey(b"n" * 32, Random(2).randbytes)):
        with pytest.raises(Unavailable):
            result_of(office.with_key(key).find("est", new.terms.reference))
    with pytest.raises(Conflict, match=r"master key of \[keys.software\], and conf has none"):
        Office(master=None).create()


def test_the_secret_is_in_no_text_and_no_list(office: Office) -> None:
    new = office.create()
    found = result_of(office.secrets.find("est", new.terms.reference))
    listed = result_of(office.secrets.list(purpose="est"))
    assert [each.reference for each in listed] == [new.terms.reference]
    assert new.secret not in f"{new!r} {found!r} {listed!r} {office.house.audit.events!r}"
    assert result_of(office.secrets.list(purpose="cmp")) == []


def test_expired_secrets_are_deleted(office: Office) -> None:
    new = office.create()
    office.house.clock.advance(DAY)
    [job] = office.secrets.jobs()
    result_of(job.run())  # type: ignore[arg-type]  # a coroutine
    with pytest.raises(NotFound):
        result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))


def test_a_used_one_time_secret_is_found_by_who_goes_on_with_it(office: Office) -> None:
    new = office.create()
    office.enroll(office.secrets.use(new.terms))
    office.is_refused(new)
    assert result_of(office.secrets.find("est", new.terms.reference, even_used=True)).secret == new.secret.encode()
    result_of(office.secrets.revoke(new.terms.reference, ADMINISTRATOR))
    with pytest.raises(Unauthorized):
        result_of(office.secrets.find("est", new.terms.reference, even_used=True))


def test_a_given_secret_is_kept_under_its_reference(office: Office) -> None:
    given = GivenSecret("a-4711", "a pass code")
    assert "pass code" not in repr(given)
    values = {"purpose": "cmp", "identity": "device 7", "lifetime": DAY, "by": ADMINISTRATOR, "given": given}
    new = result_of(office.secrets.create(**values))
    assert (new.terms.reference, new.secret) == ("a-4711", "a pass code")
    assert result_of(office.secrets.find("cmp", "a-4711")).secret == b"a pass code"
    with pytest.raises(Conflict, match="already"):
        result_of(office.secrets.create(**{**values, "purpose": "est"}))


@pytest.mark.parametrize(
    ("reference", "secret"),
    [
        ("", "pass code"),
        ("a b", "pass code"),
        ("\u00e4", "pass code"),
        ("k" * 65, "pass code"),
        ("kid", "7 chars"),
        ("kid", "x" * 1025),
        ("kid", "two\nlines"),
    ],
)
def test_what_cannot_be_a_given_secret_is_refused(reference: str, secret: str) -> None:
    with pytest.raises(Malformed):
        GivenSecret(reference, secret)


def test_who_makes_secrets_has_a_limited_number_that_wait_to_be_used(office: Office) -> None:
    def make(profile: str = "tls-client", by: str = "mdm") -> NewSecret:
        return result_of(
            office.secrets.create(
                purpose="scep",
                identity="a device",
                lifetime=DAY,
                by=Requester(protocol="scep", identity=by),
                ca=ISSUING,
                profile=profile,
                max_usable=2,
            )
        )

    first, second = make(), make()
    make("tls-server")
    make(by="another")
    with pytest.raises(LimitExceeded, match="2 secrets"):
        make()
    office.enroll(office.secrets.use(first.terms))  # what was used does not count any more
    third = make()
    with pytest.raises(LimitExceeded):
        make()
    result_of(office.secrets.revoke(second.terms.reference, ADMINISTRATOR))
    make()
    for _ in range(third.terms.tries):
        result_of(office.secrets.failed(third.terms.reference))
    make()
    with pytest.raises(LimitExceeded):
        make()
    office.house.clock.advance(DAY)
    make()


def test_a_secret_for_certain_names_is_none_where_names_are_not_looked_at(office: Office) -> None:
    values = {"purpose": "est", "identity": "device 7", "lifetime": DAY, "by": ADMINISTRATOR, "names": ["a.example"]}
    new = result_of(office.secrets.create(**values))
    found = result_of(office.secrets.check("est", new.terms.reference, new.secret))
    assert found.names == ("a.example",)
    found.require(ISSUING, "tls-client", {"A.example"})
    for names in ((), ("a.example", "b.example")):
        with pytest.raises(Forbidden, match="other names"):
            found.require(ISSUING, "tls-client", names)
    with pytest.raises(Forbidden, match="other names"):
        found.require(ISSUING, "tls-client")
    assert office.house.audit.events[-1].fields["names"] == "a.example"
