"""``[[protocols.scep.intune]]``: what it has to say, and what ``cspctl config check`` says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from pydantic import ValidationError

from cspd.config.secrets import SecretUnavailable
from cspd.config.values import SecretReference
from cspd.health import HealthState
from cspd.http.outbound.values import NoOutbound
from cspd.jobs.cron import Cron
from cspd.plugin import Services
from cspd.refusals import NotFound, Unavailable
from protocols.scep.config import SCEPConfig
from protocols.scep.intune.application_certificate import BadApplicationCertificate, read_application_certificate
from protocols.scep.intune.assembly import assemble
from protocols.scep.intune.config import PROFILES, IntuneConfig
from tests.protocols.scep.intune_world import FakeIntune
from tests.support.running import result_of
from tests.unit.http.certificates import make

GUID = "6731de76-14a6-49ae-97bc-6eba6914391e"
SOUND: dict[str, Any] = {
    "ca": "demo~issuing",
    "azure_application_id": GUID,
    "azure_tenant": "test.example.com",
    "application_secret": {"store": "intune"},
}
P12 = {"application_secret": None, "application_p12": "app.p12", "application_p12_password": {"store": "p12"}}


def written(**changes: Any) -> dict[str, Any]:
    """The sound section with changes; None takes a key away."""
    return {name: value for name, value in {**SOUND, **changes}.items() if value is not None}


def scep(*intune: dict[str, Any]) -> SCEPConfig:
    """The section of SCEP with these."""
    authorities = [{"ca": ca} for ca in sorted({each["ca"] for each in intune})]
    return SCEPConfig.model_validate({"intune": list(intune), "registration_authorities": authorities})


def write_p12(file: Path, password: bytes, *, days: int = 365, key: Any = None) -> None:
    """An application's certificate with its key."""
    key = key or rsa.generate_private_key(65537, 2048)
    certificate = make("application", key=key, days=(-1, days)).certificate
    file.write_bytes(serialize_key_and_certificates(b"app", key, certificate, None, BestAvailableEncryption(password)))


@pytest.mark.requirement("R-CEG-079")
@pytest.mark.requirement("R-CEG-083")
def test_defaults() -> None:
    config = IntuneConfig.model_validate(SOUND)
    assert config.profiles == PROFILES
    assert {"intune-digital-signature-key-encipherment", "intune-digital-signature"} < set(PROFILES)
    assert {"intune-key-encipherment", "intune-non-repudiation"} < set(PROFILES)
    assert config.revocation_schedule == "0 0/15 * * * ?"
    moment = datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
    moments = []
    for _ in range(5):
        moment = Cron.parse(config.revocation_schedule).next_after(moment)
        moments.append((moment.hour, moment.minute, moment.second))
    assert moments == [(12, 15, 0), (12, 30, 0), (12, 45, 0), (13, 0, 0), (13, 15, 0)]


BROKEN = {
    "no credential": {"application_secret": None},
    "two credentials": {"application_p12": "app.p12", "application_p12_password": {"store": "p12"}},
    "a file without password": {"application_secret": None, "application_p12": "app.p12"},
    "a password without file": {"application_p12_password": {"store": "p12"}},
    "no GUID": {"azure_application_id": "my application"},
    "a tenant with a path": {"azure_tenant": "example.com/x"},
    "no tenant": {"azure_tenant": None},
    "a CA that is none": {"ca": "issuing"},
    "a schedule of five fields": {"revocation_schedule": "0/15 * * * *"},
    "no orders at a time": {"revocation_batch": 0},
    "too many orders at a time": {"revocation_batch": 501},
    "no profiles": {"profiles": []},
    "plain http": {"endpoints": {"graph_resource_url": "http://graph.example/"}},
    "a query": {"endpoints": {"authentication_authority": "https://login.example/?x"}},
    "no version": {"endpoints": {"graph_api_version": "../v1.0"}},
    "an unknown endpoint": {"endpoints": {"graph": "https://graph.example/"}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_sections_that_make_no_sense_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        IntuneConfig.model_validate(written(**BROKEN[name]))


def test_a_ca_stands_there_once() -> None:
    with pytest.raises(ValidationError, match="intune: demo~issuing stands there twice"):
        scep(SOUND, SOUND)
    scep(SOUND, written(ca="demo~other"))


@pytest.mark.requirement("R-CEGI-007")
def test_a_ca_of_intune_needs_a_registration_authority() -> None:
    with pytest.raises(ValidationError, match="registration_authorities: there is none for demo~issuing"):
        SCEPConfig.model_validate({"intune": [SOUND]})


@pytest.mark.requirement("R-CEG-078")
def test_blank_overrides_are_none_and_unused_ones_are_pointed_out() -> None:
    blank = dict.fromkeys(
        [
            "authentication_authority",
            "graph_api_version",
            "graph_resource_url",
            "intune_application_id",
            "intune_resource_url",
        ],
        "",
    )
    unused = {**blank, "graph_api_version": "beta"}
    for endpoints, override, expected in ((blank, False, 0), (unused, False, 1), (unused, True, 0)):
        section = written(endpoints=endpoints, override_endpoints=override)
        warnings = scep(section).inspect(Path(), datetime.now(UTC)).warnings  # noqa: TID251
        assert len(warnings) == expected
        assert all(each.key == ("intune", 0, "endpoints") for each in warnings)


@pytest.mark.requirement("R-CEGI-117")
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("right", ""),
        ("wrong password", "app.p12 cannot be opened: the password is wrong, or it is no PKCS #12 file"),
        ("no PKCS #12", "app.p12 cannot be opened: the password is wrong, or it is no PKCS #12 file"),
        ("absent", "app.p12 cannot be read: No such file or directory"),
        ("EC", "app.p12 has no key of RSA, which Azure wants"),
        ("large", "app.p12 has more than 262144 octets"),
        ("ends soon", "ends on"),
        ("ended", "has ended on"),
    ],
)
def test_the_credential_is_checked_with_the_configuration(tmp_path: Path, case: str, expected: str) -> None:
    file, now = tmp_path / "app.p12", datetime.now(UTC)  # noqa: TID251  # certificates of the test begin now
    if case == "no PKCS #12":
        file.write_bytes(b"none")
    elif case == "large":
        file.write_bytes(bytes(300_000))
    elif case != "absent":
        key = ec.generate_private_key(ec.SECP256R1()) if case == "EC" else None
        password = b"another" if case == "wrong password" else b"right"
        write_p12(file, password, key=key, days=20 if case in ("ends soon", "ended") else 365)
    if case == "ended":
        now += timedelta(days=21)
    section = scep(written(**P12))
    found = section.inspect_secrets(tmp_path, now, lambda _: b"right")
    told = [*found.problems, *found.warnings]
    assert [expected in each.what for each in told] == ([True] if expected else [])
    assert all(each.key == ("intune", 0, "application_p12") for each in told)
    assert bool(found.warnings) is (case in ("ends soon", "ended"))
    assert "right" not in "".join(each.what for each in told).replace("password is wrong", "")


def test_a_secret_that_is_missing_is_told_once(tmp_path: Path) -> None:
    def missing(reference: SecretReference) -> bytes:
        raise SecretUnavailable("no secret")

    section = scep(written(**P12), written(ca="demo~other"))
    found = section.inspect_secrets(tmp_path, datetime.now(UTC), missing)  # noqa: TID251
    assert not found.problems


def test_a_path_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadApplicationCertificate):
        read_application_certificate(tmp_path / "a\0b", b"right")


class Connector:
    """The factory of the connector, which remembers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.built: dict[str, FakeIntune] = {}
        self.events: list[str] = []

    def find(self, kind: str, name: str) -> Any:
        assert (kind, name) == ("scep-validation", "intune")
        return self.build

    def build(self, config: IntuneConfig, **given: Any) -> FakeIntune:
        if self.error is not None:
            raise self.error
        assert set(given) == {"reactor", "clock", "random", "outbound", "secret", "folder"}
        intune = self.built[config.ca] = FakeIntune()
        intune.start = lambda: self.events.append(f"start {config.ca}")  # type: ignore[method-assign]
        intune.stop = lambda: self.events.append(f"stop {config.ca}")  # type: ignore[method-assign]
        return intune


def services(connector: Connector) -> Services:
    """What the factory of SCEP hands on."""
    absent = SimpleNamespace()
    return cast(
        Services,
        SimpleNamespace(
            reactor=absent,
            clock=absent,
            random=Random(1),
            database=absent,
            audit=absent,
            authorities=absent,
            certificates=absent,
            revocation=absent,
            outbound=NoOutbound(),
            secret=None,
            folder=Path(),
            tenants=frozenset({"demo"}),
            connector=connector.find,
        ),
    )


@pytest.mark.requirement("R-CEGI-118")
def test_each_ca_has_its_own_connection_and_job() -> None:
    connector = Connector()
    configurations = [
        IntuneConfig.model_validate(written(revocation_schedule="0 0 * * * *", profiles=["intune-key-encipherment"])),
        IntuneConfig.model_validate(written(ca="demo~other", azure_tenant="other.example.com")),
    ]
    assembled = assemble(configurations, services(connector))
    assert [(job.name, job.schedule) for job in assembled.jobs] == [
        ("scep-intune-revocations-demo~issuing", "0 0 * * * *"),
        ("scep-intune-revocations-demo~other", "0 0/15 * * * ?"),
        ("scep-intune-notifications", "0/30 * * * * *"),
    ]
    assert [each.state for each in assembled.health()] == [HealthState.OK] * 3
    first = result_of(assembled.places.find("demo", "demo~issuing", "intune-key-encipherment"))
    second = result_of(assembled.places.find("demo", "demo~other", "intune-digital-signature"))
    assert first.authorizer is not second.authorizer
    with pytest.raises(NotFound):
        result_of(assembled.places.find("demo", "demo~issuing", "intune-digital-signature"))
    assembled.start()
    assembled.stop()
    assert connector.events == [
        "start demo~issuing",
        "start demo~other",
        "stop demo~issuing",
        "stop demo~other",
    ]


@pytest.mark.requirement("R-CEG-022")
def test_without_configuration_there_is_nothing() -> None:
    assembled = assemble([], services(Connector()))
    assert list(assembled.jobs) == list(assembled.health()) == []
    with pytest.raises(NotFound):
        result_of(assembled.places.find("demo", "demo~issuing", PROFILES[0]))


def test_a_connection_that_cannot_be_built_prevents_the_start() -> None:
    with pytest.raises(Unavailable):
        assemble([IntuneConfig.model_validate(SOUND)], services(Connector(Unavailable("no file"))))
