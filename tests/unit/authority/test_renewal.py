"""New certificates for CAs that have one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from cspd.authority.values import Authority, CAReference
from cspd.keys.values import KeyType
from cspd.refusals import BadValidity, Conflict, Unavailable
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of
from tests.unit.authority.test_external import pending, upload


def certificate_of(authority: Authority) -> x509.Certificate:
    assert authority.certificate is not None
    return authority.certificate


@pytest.mark.requirement("R-CA-045")
@pytest.mark.parametrize("reference", [ROOT, ISSUING], ids=str)
def test_renewal_keeps_key_and_name_and_moves_the_end(reference: CAReference) -> None:
    here = Installation()
    here.make_hierarchy()
    before = here.get(reference)
    here.clock.advance(timedelta(days=365))
    after = result_of(here.renewal.renew(before.reference, ALICE))
    assert after.id == before.id
    assert after.key == before.key
    assert after.key_index == 0
    assert certificate_of(after).public_key() == certificate_of(before).public_key()
    assert certificate_of(after).subject == certificate_of(before).subject
    assert certificate_of(after).not_valid_after_utc > certificate_of(before).not_valid_after_utc
    assert [each.id for each in after.previous] == [before.certificate_id]
    certificate_of(after).verify_directly_issued_by(certificate_of(here.get(ROOT)))


def test_the_chain_follows_a_renewed_root() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert issuing.chain_der == (root.certificate_der,)
    renewed = result_of(here.renewal.renew(ROOT, ALICE))
    assert here.get(ISSUING).chain_der == (renewed.certificate_der,)
    certificate_of(here.get(ISSUING)).verify_directly_issued_by(certificate_of(renewed))


def test_the_chain_keeps_the_root_that_signed_it_after_a_rekey() -> None:
    here = Installation()
    root, _ = here.make_hierarchy()
    rekeyed = result_of(here.renewal.rekey(ROOT, ALICE))
    assert here.get(ISSUING).chain_der == (root.certificate_der,)
    renewed = result_of(here.renewal.renew(ISSUING, ALICE))
    assert renewed.chain_der == (rekeyed.certificate_der,)


def test_a_rekey_makes_a_new_key_and_keeps_the_old_one() -> None:
    here = Installation()
    _, before = here.make_hierarchy()
    after = result_of(here.renewal.rekey(ISSUING, ALICE, key_type=KeyType.EC_P384))
    assert after.id == before.id
    assert after.key != before.key
    assert after.key_type is KeyType.EC_P384
    assert after.key_index == 1
    assert before.key in here.keys.private_keys
    assert [(each.key, each.key_index) for each in after.previous] == [(before.key, 0)]
    assert here.audited("ca-rekeyed")[0]["key"] == str(after.key)


def test_certificates_of_the_new_key_point_to_its_own_crl() -> None:
    here = Installation()
    here.make_hierarchy()
    result_of(here.renewal.rekey(ROOT, ALICE))
    issuing = certificate_of(result_of(here.renewal.renew(ISSUING, ALICE)))
    (point,) = issuing.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    assert point.full_name[0].value == "http://pki.example/crl/demo/root/crl-1.crl"


def test_a_renewal_is_capped_by_the_root_and_the_profile() -> None:
    here = Installation()
    root, _ = here.make_hierarchy()
    end = certificate_of(root).not_valid_after_utc
    here.clock.advance(timedelta(days=365 * 15))
    assert certificate_of(result_of(here.renewal.renew(ISSUING, ALICE))).not_valid_after_utc == end
    with pytest.raises(BadValidity):
        result_of(here.renewal.renew(ISSUING, ALICE, not_after=end + timedelta(days=1)))


def test_a_failed_rekey_leaves_the_ca_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation()
    _, before = here.make_hierarchy()

    async def broken(*_: object) -> None:
        raise Unavailable("no token")

    monkeypatch.setattr(here.keys, "sign", broken)
    with pytest.raises(Unavailable):
        result_of(here.renewal.rekey(ISSUING, ALICE))
    result_of(here.registry.refresh())
    assert here.get(ISSUING) == before
    assert len(here.keys.private_keys) == 2


def test_two_nodes_do_not_renew_over_each_other() -> None:
    here = Installation()
    here.make_hierarchy()
    there = Installation(shares=here)
    there.get(ISSUING)
    result_of(here.renewal.rekey(ISSUING, ALICE))
    with pytest.raises(Conflict):
        result_of(there.renewal.rekey(ISSUING, ALICE))
    assert len(here.keys.private_keys) == 3


def test_a_ca_under_an_external_root_is_renewed_by_upload() -> None:
    here, root, csr = pending()
    upload(here, root.sign(csr))
    for move in (here.renewal.renew, here.renewal.rekey):
        with pytest.raises(Conflict):
            result_of(move(ISSUING, ALICE))


def test_a_disabled_root_renews_nobody() -> None:
    here = Installation()
    here.make_hierarchy()
    result_of(here.management.disable(ROOT, ALICE))
    with pytest.raises(Conflict):
        result_of(here.renewal.renew(ISSUING, ALICE))
