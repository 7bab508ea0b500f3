"""Who signs the keys that are made for clients: a key generation authority, made and renewed (RFC 9483, 4.1.6)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet.defer import Deferred

from cspd.authority.client_keys import ClientKeys, KeyGenerationAuthority
from cspd.authority.values import CAReference
from cspd.health import HealthState
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyType
from cspd.plugin import Services
from cspd.refusals import Unavailable
from protocols.cmp.central_keys import ServerMadeKeys
from protocols.cmp.config import CMPConfig
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.key_generation_authorities import find_faults
from protocols.cmp.key_generation_authority_assembly import build_key_generation_authorities
from protocols.cmp.key_generation_authority_config import CM_KGA, DEFAULT_PROFILE, KeyGenerationAuthorityConfig
from protocols.cmp.protection import ProtectionKind
from tests.support.authorities import ISSUING, ROOT, Installation
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.running import result_of
from tests.unit.http.certificates import make

ENTRY = KeyGenerationAuthorityConfig(ca=str(ISSUING))
PASSWORD = b"a secret of a client"
YEAR = timedelta(days=365)


def installed(*profiles: str) -> Installation:
    """A root and an issuing CA with these profiles beside that of clients."""
    installation = Installation()
    installation.make_hierarchy(profiles=("tls-client", *(profiles or (DEFAULT_PROFILE,))))
    return installation


class Node:
    """A node whose conf names key generation authorities."""

    def __init__(
        self,
        installation: Installation,
        entries: Sequence[KeyGenerationAuthorityConfig] = (ENTRY,),
        name: str = "node",
        *,
        start: bool = True,
    ) -> None:
        self.installation = installation
        services = SimpleNamespace(
            clock=installation.clock,
            random=Random(name),
            database=installation.database,
            keys=installation.keys,
            authorities=installation.registry,
            status=installation.status,
            audit=installation.audit,
            issuance=installation.issuance,
            process=name,
            reactor=installation.reactor,
        )
        self.built = build_key_generation_authorities(entries, cast(Services, services))
        if start:
            self.built.start()

    def of(self, ca: CAReference = ISSUING) -> KeyGenerationAuthority | None:
        """Who signs for the clients of a CA."""
        return result_of(self.built.authorities.of(ca))

    def certificate(self) -> x509.Certificate:
        """That of the issuing CA's."""
        authority = self.of()
        assert authority is not None
        return x509.load_der_x509_certificate(authority.certificate_der)

    def pass_time(self, span: timedelta) -> None:
        """The clock goes on, and then the node looks."""
        self.installation.clock.advance(span)
        self.installation.reactor.pump([1.0])

    def renew(self) -> None:
        """Run the job."""
        [job] = self.built.jobs
        result_of(cast(Any, job.run()))

    def health(self) -> tuple[HealthState, str]:
        """Of the only one."""
        [health] = self.built.authorities.health()
        return health.state, health.reason


def test_it_is_made_at_the_start_for_that_purpose_alone() -> None:
    installation = installed()
    node = Node(installation)
    certificate = node.certificate()
    assert certificate.subject.rfc4514_string() == "CN=issuing of demo KGA"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in usage] == [CM_KGA]
    issuing = installation.get(ISSUING)
    assert issuing.certificate is not None
    certificate.verify_directly_issued_by(issuing.certificate)
    assert node.health() == (HealthState.OK, "")
    [made] = [each for each in installation.audit.events if each.event == "cmp-key-generation-authority-made"]
    assert made.fields["ca"] == str(ISSUING)
    assert node.of(ROOT) is None


def test_it_signs_the_keys_that_are_made_for_clients() -> None:
    installation = installed()
    node = Node(installation)
    made = ServerMadeKeys(
        authorities=installation.registry,
        profiles=installation.profiles,
        client_keys=ClientKeys(keys=installation.keys, random_bytes=os.urandom, pool=InlinePool()),
        key_generation_authorities=node.built.authorities,
    )
    terms = Terms(ca=ISSUING, profile="tls-client", key_generation=True)
    sender = Sender(identity="client", protection=ProtectionKind.MAC, password=PASSWORD)
    key = rsa.generate_private_key(65537, 2048)
    sealed = result_of(made.encrypt(key, sender, terms))
    opened = opened_key_package(Envelope.of(sealed.der).for_password(PASSWORD), node.certificate())
    assert private_key_of(opened).public_key() == key.public_key()


def test_all_nodes_use_the_one_that_one_of_them_has_made() -> None:
    installation = installed()
    first, second = Node(installation, name="one"), Node(installation, name="two")
    assert first.certificate() == second.certificate()


@pytest.mark.parametrize("key_type", [KeyType.RSA_3072, KeyType.ED25519])
def test_the_key_is_of_the_type_and_in_the_place_of_conf(key_type: KeyType) -> None:
    installation = installed()
    node = Node(installation, (ENTRY.model_copy(update={"key_type": key_type, "keys": "token"}),))
    authority = node.of()
    assert authority is not None
    assert authority.key.provider == "token"
    assert ("rsa" in key_type.value) == isinstance(node.certificate().public_key(), rsa.RSAPublicKey)


def test_it_is_renewed_a_third_of_its_life_before_its_end_and_the_old_key_destroyed() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    node.pass_time(YEAR * 0.65)
    node.renew()
    assert node.certificate() == first
    node.pass_time(YEAR * 0.03)
    node.renew()
    assert node.certificate() != first
    labels = [each.label for each in result_of(installation.keys.list())]
    assert labels.count(f"CMP KGA {ISSUING}") == 2
    node.pass_time(timedelta(hours=1))
    node.renew()
    assert [each.label for each in result_of(installation.keys.list())].count(f"CMP KGA {ISSUING}") == 1


def test_without_a_certificate_nothing_is_signed_and_health_says_so() -> None:
    node = Node(installed("tls-server"))
    with pytest.raises(Unavailable, match="key generation authority of demo~issuing"):
        node.of()
    state, reason = node.health()
    assert state is HealthState.FAILED
    assert "no profile" in reason


def test_who_waits_for_the_first_one_is_let_go_at_the_end() -> None:
    node = Node(installed(), start=False)
    waiting = Deferred.fromCoroutine(node.built.authorities.of(ISSUING))
    assert not waiting.called
    node.built.stop()
    with pytest.raises(Unavailable):
        result_of(_awaited(waiting))


async def _awaited(deferred: Deferred[Any]) -> Any:
    return await deferred


@pytest.mark.parametrize("usage", [None, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")])
def test_a_certificate_for_something_else_is_not_used(usage: x509.ObjectIdentifier | None) -> None:
    now = Installation().clock.now()
    party = make("other", now=now, usage=usage)
    assert find_faults("", party.certificate, (), now) == ["its extendedKeyUsage lacks cmKGA"]
    assert "it is not valid now" in find_faults("", party.certificate, (), now + 100 * YEAR)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"profile": "no-such"}, "is not there"),
        ({"profile": "tls-client"}, "has no cmKGA"),
        ({"profile": "device"}, "has no cmKGA"),
        ({}, ""),
    ],
)
def test_a_profile_that_does_not_fit_is_told_with_conf(entry: dict[str, str], what: str) -> None:
    values = {"key_generation_authorities": [{"ca": "demo~issuing", **entry}]}
    problems = CMPConfig.model_validate(values).inspect_profiles(Installation().profiles)
    assert [what in each.what for each in problems] == ([True] if what else [])


def test_a_ca_stands_there_once() -> None:
    with pytest.raises(ValueError, match="demo~issuing stands there twice"):
        CMPConfig.model_validate({"key_generation_authorities": [{"ca": "demo~issuing"}] * 2})
