"""What cacerts has after the root got a new key (RFC 7030, 4.1.3)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from tests.protocols.est.world import World, certificates_of
from tests.support.authorities import ALICE, ISSUING, ROOT
from tests.support.running import result_of


def test_cacerts_link_the_old_key_of_the_root_with_the_new_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, issuing = world.house.get(ROOT), world.house.get(ISSUING)
    assert set(certificates_of(world.ask("cacerts"))) == {issuing.certificate_der, old.certificate_der}
    world.house.clock.advance(timedelta(days=365))
    new = result_of(world.house.renewal.rekey(ROOT, ALICE))
    found = certificates_of(world.ask("cacerts"))
    assert len(found) == len(set(found)) == 5
    assert {issuing.certificate_der, old.certificate_der, new.certificate_der} < set(found)
    links = [
        x509.load_der_x509_certificate(each)
        for each in set(found) - {issuing.certificate_der, old.certificate_der, new.certificate_der}
    ]
    assert old.certificate is not None
    assert new.certificate is not None
    for holder, signer in ((new.certificate, old.certificate), (old.certificate, new.certificate)):
        [link] = [each for each in links if each.public_key() == holder.public_key()]
        link.verify_directly_issued_by(signer)


def test_cacerts_of_a_ca_that_is_renewed_under_the_new_key(tmp_path: Path) -> None:
    world = World(tmp_path)
    new = result_of(world.house.renewal.rekey(ROOT, ALICE))
    renewed = result_of(world.house.renewal.renew(ISSUING, ALICE))
    found = certificates_of(world.ask("cacerts"))
    assert {renewed.certificate_der, new.certificate_der} < set(found)
    assert len(found) == 6
