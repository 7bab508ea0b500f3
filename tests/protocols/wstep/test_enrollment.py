"""Certificates by Windows enrollment, from message to message."""

from __future__ import annotations

import pytest
from cryptography import x509

from protocols.wstep import microsoft
from tests.protocols.wstep.accounts import key_usage
from tests.protocols.wstep.world import STATIC, World


@pytest.fixture
def world() -> World:
    return World()


def alt_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


@pytest.mark.requirement("R-CEG-010")
def test_a_static_user_gets_a_certificate_of_its_name(world: World) -> None:
    answer = world.issue(
        world.csr(subject="CN=administrator", template_oid=None, usage=key_usage("digital_signature")), user=STATIC
    )
    certificate = answer.certificate
    assert certificate.subject.rfc4514_string() == "CN=demo@corp.example"
    assert alt_names(certificate) == [microsoft.user_principal_name("demo@corp.example")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in usage] == ["1.3.6.1.5.5.7.3.2"]
