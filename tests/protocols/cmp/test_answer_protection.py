"""Answers as clients verify them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from cspd.authority.values import Authority, CAReference
from cspd.refusals import NotFound, Unavailable
from protocols.cmp.answer_protection import ProtectedAnswers
from protocols.cmp.codec import decode
from protocols.cmp.general_names import directory_name
from protocols.cmp.header_rules import check_signer, protection_certificate
from protocols.cmp.interfaces import Sender
from protocols.cmp.messages import BodyType
from protocols.cmp.protection import verify_mac, verify_message_signature
from tests.protocols.cmp.signing_parties import TERMS, House, maced, signed
from tests.protocols.cmp.vectors import HEADER, message
from tests.support.authorities import ALICE
from tests.support.running import result_of

BODY = message(BodyType.GENP).body


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def answers(house: House) -> ProtectedAnswers:
    return ProtectedAnswers(authorities=house.installation.registry, keys=house.installation.keys)


def by_secret(house: House) -> Sender:
    """Somebody with a secret."""
    new = house.secret()
    return house.authenticate(maced(new.secret, new.terms.reference.encode()))


@pytest.mark.parametrize("is_known", [True, False])
def test_an_answer_is_signed_with_the_key_of_the_ca(house: House, answers: ProtectedAnswers, is_known: bool) -> None:
    sender = house.authenticate(signed(house.own())) if is_known else None
    name_der, kid = result_of(answers.header_names(TERMS, sender))
    header = replace(HEADER, sender_der=name_der, sender_kid=kid)
    for _ in range(2):
        made = decode(result_of(answers.protect(header, BODY, terms=TERMS, sender=sender, extra_certs_der=(b"0\0",))))
        certificate = protection_certificate(made)
        check_signer(made.header, certificate)
        verify_message_signature(made, certificate)
    issuing = house.issuing
    assert made.extra_certs_der == (issuing.certificate_der, *issuing.chain_der, b"0\0")
    assert name_der == directory_name(issuing.subject)
    assert kid == certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_an_answer_to_a_mac_has_the_mac_of_its_key(house: House, answers: ProtectedAnswers) -> None:
    sender = by_secret(house)
    assert sender.mac_key is not None
    assert sender.secret is not None
    names = result_of(answers.header_names(TERMS, sender))
    assert names == (directory_name(house.issuing.subject), sender.secret.reference.encode())
    root_der = house.issuing.chain_der[0]
    made = decode(
        result_of(answers.protect(HEADER, BODY, terms=TERMS, sender=sender, extra_certs_der=(root_der, b"0\0")))
    )
    verify_mac(made, sender.mac_key)
    assert made.extra_certs_der == (house.issuing.certificate_der, root_der, b"0\0")


class _Changed:
    """A registry with one CA, changed."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority

    async def get(self, reference: CAReference) -> Authority:
        """The CA."""
        return self.authority


@pytest.mark.parametrize("lacking", [{"certificate": None, "certificate_der": None}, {"key": None}])
def test_a_ca_without_certificate_or_key_answers_nobody(house: House, lacking: dict[str, None]) -> None:
    registry = _Changed(replace(house.issuing, **lacking))  # type: ignore[arg-type]  # values that may be None
    answers = ProtectedAnswers(authorities=registry, keys=house.installation.keys)  # type: ignore[arg-type]  # enough
    with pytest.raises(Unavailable):
        result_of(answers.protect(HEADER, BODY, terms=TERMS, sender=None))


def test_a_ca_that_is_not_there_is_not_found(answers: ProtectedAnswers) -> None:
    elsewhere = replace(TERMS, ca=CAReference("demo", "other"))
    with pytest.raises(NotFound):
        result_of(answers.header_names(elsewhere, None))


def test_a_renewed_ca_signs_with_its_new_key(house: House, answers: ProtectedAnswers) -> None:
    by_old = decode(result_of(answers.protect(HEADER, BODY, terms=TERMS, sender=None)))
    result_of(house.installation.renewal.rekey(house.issuing.reference, ALICE))
    by_new = decode(result_of(answers.protect(HEADER, BODY, terms=TERMS, sender=None)))
    assert by_new.extra_certs_der[0] != by_old.extra_certs_der[0]
    verify_message_signature(by_new, protection_certificate(by_new))
