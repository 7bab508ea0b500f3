"""What leads from one key of a root to another (RFC 9810, 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import update

from cspd.authority.certificates import Certificates
from cspd.authority.key_links import KeyLink, KeyLinks
from cspd.authority.values import Authority, CertificateState, RevocationReason
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import Unavailable
from cspd.store.tables import authorities
from cspd.x509.identifiers import subject_key_identifier
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of
from tests.unit.authority.test_lint import findings


def links_of(here: Installation, authority: Authority) -> list[KeyLink]:
    return list(result_of(KeyLinks(clock=here.clock, database=here.database).of(authority)))


def parsed(certificate_der: bytes | None) -> x509.Certificate:
    assert certificate_der
    return x509.load_der_x509_certificate(certificate_der)


def rekeyed(**fields: Any) -> tuple[Installation, Authority, Authority]:
    """A root before, and a year later with another key."""
    here = Installation()
    here.make_organization()
    before = here.make_root(**fields)
    here.clock.advance(timedelta(days=365))
    return here, before, result_of(here.renewal.rekey(ROOT, ALICE, key_type=KeyType.ED25519))


def test_a_rekeyed_root_is_linked_both_ways() -> None:
    here, before, after = rekeyed()
    [link] = links_of(here, after)
    assert link.old_certificates_der == (before.certificate_der,)
    old, new = parsed(before.certificate_der), parsed(after.certificate_der)
    new_with_old, old_with_new = parsed(link.new_with_old_der), parsed(link.old_with_new_der)
    new_with_old.verify_directly_issued_by(old)
    assert new_with_old.public_key() == new.public_key()
    old_with_new.verify_directly_issued_by(new)
    assert old_with_new.public_key() == old.public_key()
    assert {each.subject for each in (new_with_old, old_with_new)} == {before.subject}


def test_the_links_last_as_long_as_the_old_key() -> None:
    here, before, after = rekeyed()
    [link] = links_of(here, after)
    old, new = parsed(before.certificate_der), parsed(after.certificate_der)
    new_with_old, old_with_new = parsed(link.new_with_old_der), parsed(link.old_with_new_der)
    assert new_with_old.not_valid_before_utc == new.not_valid_before_utc
    assert new_with_old.not_valid_after_utc == old.not_valid_after_utc < new.not_valid_after_utc
    assert old_with_new.not_valid_before_utc == old.not_valid_before_utc
    assert old_with_new.not_valid_after_utc == old.not_valid_after_utc


def test_a_link_is_a_certificate_of_a_ca_that_says_where_its_status_is() -> None:
    here, before, after = rekeyed()
    [link] = links_of(here, after)
    for certificate, issuer, crl in (
        (parsed(link.new_with_old_der), parsed(before.certificate_der), "crl.crl"),
        (parsed(link.old_with_new_der), parsed(after.certificate_der), "crl-1.crl"),
    ):
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, None)
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.key_cert_sign, usage.crl_sign) == (True, True)
        identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert identifier.key_identifier == subject_key_identifier(issuer.public_key())
        [point] = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name is not None
        assert point.full_name[0].value == f"http://pki.example/crl/demo/root/{crl}"


def test_a_path_from_a_new_certificate_ends_at_the_old_root() -> None:
    here, before, after = rekeyed()
    issuing = here.make_issuing()
    [link] = links_of(here, after)
    parsed(issuing.certificate_der).verify_directly_issued_by(parsed(link.new_with_old_der))
    parsed(link.new_with_old_der).verify_directly_issued_by(parsed(before.certificate_der))


def test_links_are_certificates_that_the_root_issued() -> None:
    here, _, after = rekeyed()
    [link] = links_of(here, after)
    records = Certificates(here.database)
    for der in (link.new_with_old_der, link.old_with_new_der):
        record = result_of(records.find(after.id, parsed(der).serial_number))
        assert record.certificate_der == der
        assert record.profile == "basic-ca-root"
        assert record.status.state is CertificateState.GOOD


def test_a_link_that_is_revoked_is_not_handed_out() -> None:
    here, _, after = rekeyed()
    [link] = links_of(here, after)
    here.revoke(after, parsed(link.old_with_new_der).serial_number, RevocationReason.CA_COMPROMISE)
    [left] = links_of(here, after)
    assert left.old_with_new_der == b""
    assert left.new_with_old_der == link.new_with_old_der
    crl = x509.load_der_x509_crl(result_of(here.publication.current(after, key_index=1)).crl_der)
    assert crl.get_revoked_certificate_by_serial_number(parsed(link.old_with_new_der).serial_number) is not None


def test_each_earlier_key_is_linked_with_the_present_one() -> None:
    here, first, second = rekeyed()
    third = result_of(here.renewal.rekey(ROOT, ALICE))
    links = links_of(here, third)
    assert [each.old_certificates_der for each in links] == [(second.certificate_der,), (first.certificate_der,)]
    for link, old in zip(links, (second, first), strict=True):
        parsed(link.new_with_old_der).verify_directly_issued_by(parsed(old.certificate_der))
        assert parsed(link.new_with_old_der).public_key() == parsed(third.certificate_der).public_key()
        parsed(link.old_with_new_der).verify_directly_issued_by(parsed(third.certificate_der))


def test_a_renewal_needs_no_links_and_keeps_them() -> None:
    here, _, after = rekeyed()
    links = links_of(here, after)
    renewed = result_of(here.renewal.renew(ROOT, ALICE))
    assert links_of(here, renewed) == links


def test_a_key_that_has_expired_is_linked_no_more() -> None:
    here, before, after = rekeyed()
    here.clock.advance(parsed(before.certificate_der).not_valid_after_utc - here.clock.now())
    assert links_of(here, after) == []
    with_third = result_of(here.renewal.rekey(ROOT, ALICE))
    assert [each.old_certificates_der for each in links_of(here, with_third)] == [(after.certificate_der,)]


def test_a_link_that_has_expired_is_not_handed_out() -> None:
    """It ends with the certificate that the new key had at first."""
    here = Installation()
    here.make_organization()
    here.make_root()
    result_of(here.renewal.rekey(ROOT, ALICE, not_after=here.clock.now() + timedelta(days=30)))
    renewed = result_of(here.renewal.renew(ROOT, ALICE))
    assert [bool(each.new_with_old_der) for each in links_of(here, renewed)] == [True]
    here.clock.advance(timedelta(days=31))
    assert [bool(each.new_with_old_der) for each in links_of(here, renewed)] == [False]


def test_a_ca_with_one_key_and_a_ca_under_a_root_have_no_links() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert links_of(here, root) == links_of(here, issuing) == []
    assert links_of(here, result_of(here.renewal.rekey(ISSUING, ALICE))) == []


def test_a_lost_old_key_does_not_keep_the_root_from_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation()
    here.make_organization()
    before, sign = here.make_root(), here.keys.sign

    async def without_the_old_key(reference: KeyReference, work: Callable[[PrivateKey], Any]) -> Any:
        if reference == before.key:
            raise Unavailable("the token is gone")
        return await sign(reference, work)

    monkeypatch.setattr(here.keys, "sign", without_the_old_key)
    after = result_of(here.renewal.rekey(ROOT, ALICE))
    [link] = links_of(here, after)
    assert link.new_with_old_der == b""
    parsed(link.old_with_new_der).verify_directly_issued_by(parsed(after.certificate_der))


def test_links_of_a_root_that_records_before_signing() -> None:
    here = Installation()
    here.make_organization()
    here.make_root(record_before_signing=True)
    [link] = links_of(here, result_of(here.renewal.rekey(ROOT, ALICE)))
    assert link.new_with_old_der
    assert link.old_with_new_der


def test_a_rekey_that_is_lost_leaves_no_links() -> None:
    """Another node was faster: the transaction takes certificate and links, or none of them."""
    here, _, after = rekeyed()
    there = Installation(shares=here)
    there.get(ROOT)

    def work(connection: Any) -> None:
        connection.execute(update(authorities).where(authorities.c.id == after.id).values(certificate_id="f" * 32))

    before = links_of(here, after)
    result_of(here.database.write(work))
    with pytest.raises(Exception, match="renewed by somebody else"):
        result_of(there.renewal.rekey(ROOT, ALICE))
    counts = result_of(Certificates(here.database).counts(after.id))
    assert counts == {CertificateState.GOOD: 2}
    assert links_of(here, after) == before


def test_an_independent_linter_finds_nothing_in_the_links() -> None:
    here, _, after = rekeyed()
    [link] = links_of(here, after)
    assert findings(parsed(link.new_with_old_der)) | findings(parsed(link.old_with_new_der)) == set()
