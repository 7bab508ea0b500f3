"""The units as the factory gets them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from cspd.keys.values import KeyType
from cspd.plugin import PublicAddress, Services
from cspd.refusals import Rejected
from protocols.tsp.config import TSPConfig
from protocols.tsp.unit_assembly import build_units
from tests.protocols.tsp.unit_certificates import NOW, Hierarchy, write_pem
from tests.support.authorities import Installation, shipped_profiles
from tests.support.running import result_of

FROM_FILES = {
    "id": "files",
    "profile": {"policy": "1.2.3"},
    "certificate": "tsa.pem",
    "ca_chain": ["issuing.pem", "root.pem"],
}
FROM_OUR_CA = {
    "id": "own",
    "profile": {"policy": "1.2.3"},
    "certification": {"ca": "demo~issuing", "subject": "CN=TSU"},
}


def services_of(installation: Installation, folder: Path) -> Services:
    unused = cast(Any, None)
    return Services(
        reactor=installation.reactor,
        clock=installation.clock,
        random=Random(1),
        database=installation.database,
        keys=installation.keys,
        authorities=installation.registry,
        issuance=installation.issuance,
        revocation=unused,
        status=installation.status,
        publication=unused,
        approvals=unused,
        certificates=unused,
        profiles=shipped_profiles(),
        audit=installation.audit,
        public=PublicAddress(http="http://pki.example", https="https://pki.example"),
        tenants=frozenset(),
        connector=unused,
        password_checks={},
        enrollment_secrets=unused,
        process="process-1",
        monitor=unused,
        folder=folder,
    )


def configuration(*issuers: Any, **section: Any) -> TSPConfig:
    clock = {"poll_interval": "10s", "max_error": "100ms"}
    return TSPConfig.model_validate({"clock": clock, "issuers": list(issuers), **section})


@pytest.fixture
def installation() -> Installation:
    installation = Installation()
    installation.make_hierarchy(profiles=("timestamping",))
    return installation


def write_files(installation: Installation, folder: Path) -> None:
    hierarchy = Hierarchy()
    key = result_of(installation.keys.generate(KeyType.EC_P256, label="tsa"))
    write_pem(folder / "tsa.pem", hierarchy.unit(result_of(installation.keys.public_key(key))))
    write_pem(folder / "issuing.pem", hierarchy.issuing.certificate)
    write_pem(folder / "root.pem", hierarchy.root.certificate)


@pytest.mark.requirement("R-TSA-036")
def test_issuers_of_both_kinds_in_one_process(installation: Installation, tmp_path: Path) -> None:
    write_files(installation, tmp_path)
    section = configuration(FROM_FILES, {**FROM_FILES, "id": "shared"}, FROM_OUR_CA)
    built = build_units(section, services_of(installation, tmp_path))
    built.start()
    files, shared, own = (built.units.current(issuer) for issuer in ("files", "shared", "own"))
    assert files.certificate_der == shared.certificate_der
    assert own.certificate_der != files.certificate_der
    for issuer in ("files", "shared", "own"):
        result_of(built.units.settled(issuer))
    assert built.stop().called
    assert cast(Clock, installation.reactor).getDelayedCalls() == []


def test_the_job_renews(installation: Installation, tmp_path: Path) -> None:
    section = configuration(FROM_OUR_CA, renew_certificates="0 0 3 * * *")
    built = build_units(section, services_of(installation, tmp_path))
    built.start()
    first = built.units.current("own")
    installation.clock.advance((first.sign_until - NOW) * 0.6)
    [job] = built.jobs
    assert (job.name, job.schedule) == ("tsp-renew-certificates", "0 0 3 * * *")
    result_of(cast(Any, job.run()))
    assert built.units.current("own").key != first.key


@pytest.mark.requirement("R-TSA-064")
def test_bad_files_refuse_the_start_and_all_are_named(installation: Installation, tmp_path: Path) -> None:
    write_files(installation, tmp_path)
    (tmp_path / "empty.pem").write_bytes(b"")
    section = configuration(
        {**FROM_FILES, "certificate": "empty.pem"}, {**FROM_FILES, "id": "other", "ca_chain": ["no.pem"]}
    )
    with pytest.raises(Rejected) as refused:
        build_units(section, services_of(installation, tmp_path))
    assert str(refused.value).replace(str(tmp_path), "DIR") == (
        "issuer files: DIR/empty.pem: is not PEM: there is no -----BEGIN CERTIFICATE----- in it; "
        "issuer other: DIR/no.pem: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("nothing", "issuer own: there is no profile nothing"),
        ("tls-server", "issuer own: profile tls-server is not for time-stamp units: its extended_key_usage has to be"),
    ],
)
def test_a_profile_of_something_else_refuses_the_start(
    installation: Installation, tmp_path: Path, profile: str, says: str
) -> None:
    certification = {**FROM_OUR_CA["certification"], "profile": profile}  # type: ignore[dict-item]
    section = configuration({**FROM_OUR_CA, "certification": certification})
    with pytest.raises(Rejected) as refused:
        build_units(section, services_of(installation, tmp_path))
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ca": "issuing"}, "a CA reference has the form"),
        ({"subject": "TSU"}, "no '=' after"),
        ({"subject": ""}, "empty"),
    ],
)
def test_names_are_checked_when_conf_is_read(change: dict[str, str], says: str) -> None:
    certification = {**FROM_OUR_CA["certification"], **change}  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=says):
        configuration({**FROM_OUR_CA, "certification": certification})
