"""What a deployment refuses of the protocols it is built from."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock

from cspd.admin.operations.values import NoArguments, Operation
from cspd.audit.chain import HashChain
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.certificates import Certificates
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
from cspd.daemon.administration import administration_serving
from cspd.daemon.core import Core
from cspd.daemon.deployment import Deployment, build_deployment, build_operations
from cspd.monitoring.assembly import build_monitoring
from cspd.plugin import ProtocolService
from cspd.turns import EndOfTurn
from tests.support.administration import FakeDaemon
from tests.support.authorities import Installation
from tests.support.clocks import FrozenClock
from tests.support.plugins import greeting_plugins
from tests.unit.config.installations import SOUND, install


@pytest.fixture
def core() -> Core:
    house = Installation()
    return Core(
        process="node-1",
        enrollment_secrets=EnrollmentSecrets(
            clock=house.clock,
            random=Random(7),
            database=house.database,
            audit=HashChain(house.database, house.clock, "node"),
            master_key=None,
        ),
        reactor=Clock(),
        end_of_turn=EndOfTurn(Clock().callLater),
        clock=house.clock,
        random=Random(7),
        database=house.database,
        keys=house.keys,  # type: ignore[arg-type]  # the interface, not the service
        audit=HashChain(house.database, house.clock, "node"),
        authorities=house.registry,
        status=house.status,
        revocation=house.revocation,
        publication=house.publication,
        certificates=Certificates(house.database),
        urls=house.urls,
        monitoring=build_monitoring(
            reactor=Clock(),
            clock=house.clock,
            database=house.database,
            keys=house.keys,  # type: ignore[arg-type]  # never asked
            authorities=house.registry,
        ),
    )


def conf(greeting: str) -> str:
    """With no protocol but ``greeting``."""
    head = SOUND.partition("[listeners.http]")[0]
    return head + f'[listeners.http]\nendpoint = "tcp:8080"\nprotocols = ["greeting"]\n[protocols.greeting]\n{greeting}'


def test_operations_of_protocols_are_those_of_the_deployment(tmp_path: Path, core: Core) -> None:
    with greeting_plugins(tmp_path) as plugins:
        path = install(tmp_path, conf(""))
        configuration = load_configuration(path, environment={}, clock=FrozenClock(), plugins=plugins)
        assert [each.name for each in build_deployment(configuration, core).operations] == ["greet-send"]
        assert [each.name for each in build_operations(configuration, core, "greet-send")] == ["greet-send"]
        assert build_operations(configuration, core, "greet-shout") == ()
        assert build_operations(configuration, core, "greeting-send") == ()


def test_operation_that_does_not_begin_with_what_is_typed_is_refused(tmp_path: Path, core: Core) -> None:
    with greeting_plugins(tmp_path) as plugins:
        path = install(tmp_path, conf('word = "wave"\n'))
        configuration = load_configuration(path, environment={}, clock=FrozenClock(), plugins=plugins)
        with pytest.raises(ConfigurationRefused, match=r'wave-send does not begin with "greet-"'):
            build_deployment(configuration, core)


def test_operation_with_a_name_of_the_core_is_refused(tmp_path: Path, core: Core) -> None:
    path = install(tmp_path, SOUND)
    configuration = load_configuration(path, environment={}, clock=FrozenClock())
    taken = Operation(name="ca-list", arguments=NoArguments, run=lambda *_: core.authorities.list())
    deployment = Deployment(
        configuration=configuration, protocols={"ocsp": ProtocolService(routes=(), operations=(taken,))}
    )
    with pytest.raises(ConfigurationRefused, match="two operations are named ca-list"):
        administration_serving(
            deployment, core, FakeDaemon(), reactor=core.reactor, clock=core.clock, random=core.random
        )


DIGITAL_IDS = """
[digital_ids]
token_lifetime = "60s"
cleanup_schedule = "7 0 * * * *"

[[digital_ids.configurations]]
name = "Phones"
ca = "demo~issuing"
profile = "mdmws-digital-signature"
rdn_format = "cn=<serial>"
"""


@pytest.mark.requirement("R-CEG-096")
def test_expired_challenges_are_deleted_by_the_schedule_of_conf(tmp_path: Path, core: Core) -> None:
    configuration = load_configuration(install(tmp_path, SOUND + DIGITAL_IDS), environment={}, clock=FrozenClock())
    jobs = {job.name: job.schedule for job in build_deployment(configuration, core).jobs}
    assert jobs["digital-ids-delete-expired-challenges"] == "7 0 * * * *"


@pytest.mark.parametrize("text", ["", DIGITAL_IDS.replace("[digital_ids]", "[digital_ids]\nenabled = false")])
def test_without_digital_ids_there_is_nothing_to_delete(tmp_path: Path, core: Core, text: str) -> None:
    configuration = load_configuration(install(tmp_path, SOUND + text), environment={}, clock=FrozenClock())
    jobs = {job.name for job in build_deployment(configuration, core).jobs}
    assert not {name for name in jobs if name.startswith("digital-ids")}
