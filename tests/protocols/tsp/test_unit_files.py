"""What is said of certificate files, through the section as ``cspctl config check`` asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from cspd.config.inspection import Inspected, Inspection
from cspd.config.problems import format_key
from protocols.tsp.config import TSPConfig
from protocols.tsp.unit_files import MAX_FILE_BYTES, BadUnitFiles, read_unit_files
from tests.protocols.tsp.unit_certificates import NOW, UNIT, Hierarchy, write_pem

CLOCK = {"poll_interval": "10s", "max_error": "100ms"}
ISSUER = {
    "id": "demo",
    "profile": {"policy": "1.3.6.1.4.1.99999.1"},
    "certificate": "tsa.pem",
    "ca_chain": ["issuing.pem", "root.pem"],
}


def configuration(*issuers: Mapping[str, Any]) -> TSPConfig:
    return TSPConfig.model_validate({"clock": CLOCK, "issuers": list(issuers) or [ISSUER]})


def inspect(folder: Path, *issuers: Mapping[str, Any]) -> Inspection:
    return configuration(*issuers).inspect(folder, NOW)


def problems(folder: Path, *issuers: Mapping[str, Any]) -> list[str]:
    found = inspect(folder, *issuers).problems
    return [f"{format_key(each.key)}: {each.what}".replace(str(folder), "DIR") for each in found]


@pytest.fixture
def hierarchy(tmp_path: Path) -> Hierarchy:
    """Its files are in the folder."""
    hierarchy = Hierarchy()
    write_pem(tmp_path / "tsa.pem", hierarchy.unit())
    write_pem(tmp_path / "issuing.pem", hierarchy.issuing.certificate)
    write_pem(tmp_path / "root.pem", hierarchy.root.certificate)
    return hierarchy


def private_key_pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_the_section_is_asked_and_sound_files_are_fine(tmp_path: Path, hierarchy: Hierarchy) -> None:
    assert isinstance(configuration(), Inspected)
    assert inspect(tmp_path) == Inspection([], [])
    absolute = {**ISSUER, "certificate": str(tmp_path / "tsa.pem")}
    assert inspect(Path("/nowhere"), {**absolute, "ca_chain": [str(tmp_path / "issuing.pem")]}) == Inspection([], [])


@pytest.mark.requirement("R-TSA-036")
def test_two_issuers_may_name_one_certificate(tmp_path: Path, hierarchy: Hierarchy) -> None:
    assert problems(tmp_path, ISSUER, {**ISSUER, "id": "other"}) == []


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What the file of the certificate holds, and what is said of it."""

    name: str
    content: Callable[[bytes], bytes]
    says: str


TABLE = [
    Bad(name="nothing", content=lambda pem: b"", says="is not PEM: there is no -----BEGIN CERTIFICATE----- in it"),
    Bad(
        name="DER",
        content=lambda pem: x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER),
        says="is not PEM: there is no -----BEGIN CERTIFICATE----- in it",
    ),
    Bad(
        name="two certificates",
        content=lambda pem: pem + pem,
        says="has to hold one certificate and nothing else; it holds 2 x CERTIFICATE",
    ),
    Bad(
        name="a key alone",
        content=lambda pem: private_key_pem(),
        says="has to hold one certificate and nothing else; it holds 1 x PRIVATE KEY",
    ),
    Bad(
        name="a key beside it",
        content=lambda pem: pem + private_key_pem(),
        says="has to hold one certificate and nothing else; it holds 1 x CERTIFICATE, 1 x PRIVATE KEY",
    ),
    Bad(name="cut off", content=lambda pem: pem[:300], says="holds a damaged certificate"),
    Bad(
        name="no certificate inside",
        content=lambda pem: b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        says="holds a damaged certificate",
    ),
    Bad(name="huge", content=lambda pem: pem + b"#" * MAX_FILE_BYTES, says="is larger than 65536 bytes"),
]


@pytest.mark.requirement("R-TSA-064")
@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
@pytest.mark.parametrize(
    ("file", "key"), [("tsa.pem", "issuers[0].certificate"), ("root.pem", "issuers[0].ca_chain[1]")]
)
def test_a_file_that_is_not_one_certificate(
    tmp_path: Path, hierarchy: Hierarchy, file: str, key: str, bad: Bad
) -> None:
    pem = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(bad.content(pem))
    assert problems(tmp_path) == [f"{key}: DIR/{file}: {bad.says}"]


def test_explanations_around_the_certificate_are_fine(tmp_path: Path, hierarchy: Hierarchy) -> None:
    pem = (tmp_path / "tsa.pem").read_bytes()
    (tmp_path / "tsa.pem").write_bytes(b"Certificate:\n    Data: ...\n" + pem + b"\n")
    assert problems(tmp_path) == []


def test_files_that_cannot_be_read(tmp_path: Path, hierarchy: Hierarchy) -> None:
    (tmp_path / "issuing.pem").unlink()
    issuer = {**ISSUER, "certificate": ".", "ca_chain": ["issuing.pem", "a\0b"]}
    assert problems(tmp_path, issuer) == [
        "issuers[0].certificate: DIR: cannot be read: Is a directory",
        "issuers[0].ca_chain[0]: DIR/issuing.pem: cannot be read: No such file or directory",
        "issuers[0].ca_chain[1]: DIR/a\0b: is no path: it holds a NUL",
    ]


@pytest.mark.requirement("R-TSA-065")
def test_faults_of_certificates_name_issuer_and_file(tmp_path: Path, hierarchy: Hierarchy) -> None:
    write_pem(tmp_path / "bad.pem", hierarchy.unit(extensions=UNIT[:1], not_after=NOW))
    second = {**ISSUER, "id": "second", "certificate": "bad.pem", "ca_chain": ["root.pem"]}
    assert problems(tmp_path, ISSUER, second) == [
        "issuers[1].certificate: DIR/bad.pem: expired on 2026-11-24 12:00 UTC",
        "issuers[1].certificate: DIR/bad.pem: has no extendedKeyUsage: timeStamping, critical, is required",
        (
            "issuers[1].ca_chain[0]: DIR/root.pem: (CN=root) did not issue CN=unit: the chain begins with the issuer "
            "of the certificate, and each is issued by the next"
        ),
    ]
    with pytest.raises(BadUnitFiles, match=r"bad.pem: expired on .*; .*root.pem: \(CN=root\) did not issue"):
        read_unit_files("bad.pem", ["root.pem"], folder=tmp_path, now=NOW)


def test_warnings_of_an_end_that_is_near_and_of_sha1(tmp_path: Path, hierarchy: Hierarchy) -> None:
    write_pem(tmp_path / "tsa.pem", hierarchy.unit(not_after=NOW + timedelta(days=30)))
    profile = {**ISSUER["profile"], "allowed_hashes": ["sha1"], "signature_digest": "sha1"}  # type: ignore[dict-item]
    found = inspect(tmp_path, {**ISSUER, "profile": profile}).warnings
    assert [f"{format_key(each.key)}: {each.what}. {each.remedy}" for each in found] == [
        'issuers[0].profile.signature_digest: verifiers refuse signatures with SHA-1. Use "sha256"',
        f"issuers[0].certificate: {tmp_path}/tsa.pem signs until 2026-12-24 12:00 UTC only. Get its successor",
    ]
    write_pem(tmp_path / "tsa.pem", hierarchy.unit(not_after=NOW + timedelta(days=31)))
    assert inspect(tmp_path).warnings == []


CERTIFICATION = {"ca": "demo~issuing", "subject": "CN=TSU"}


@pytest.mark.requirement("R-TSA-061")
@pytest.mark.parametrize(
    ("issuers", "says"),
    [
        pytest.param([], "at least 1 item", id="none"),
        pytest.param([{**ISSUER, "profile": {}}], "issuers.0.profile.policy\n  Field required", id="no policy"),
        pytest.param(
            [{"id": "a", "certificate": "a", "ca_chain": ["b"]}], "issuers.0.profile\n  Field required", id="no profile"
        ),
        pytest.param([{k: v for k, v in ISSUER.items() if k != "id"}], "issuers.0.id\n  Field required", id="no id"),
        pytest.param(
            [{k: v for k, v in ISSUER.items() if k != "certificate"}],
            "certificate and ca_chain, or certification",
            id="no certificate",
        ),
        pytest.param([{**ISSUER, "ca_chain": []}], "ca_chain: the certificates of the CA", id="no chain"),
        pytest.param(
            [{**ISSUER, "certification": CERTIFICATION}], "certificate and ca_chain, or certification", id="both"
        ),
        pytest.param([ISSUER, ISSUER], "demo stands there twice", id="twice"),
        pytest.param([{**ISSUER, "id": "a/b"}], "String should match pattern", id="odd id"),
    ],
)
def test_an_issuer_that_lacks_something_is_refused(issuers: list[Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TSPConfig.model_validate({"clock": CLOCK, "issuers": issuers})
    assert says in str(refused.value)


@pytest.mark.requirement("R-TSA-062")
def test_the_signature_digest_is_one_of_the_allowed_hashes_also_by_default() -> None:
    profile = {"policy": "1.2.3", "allowed_hashes": ["sha384", "sha512"]}
    for bad in (profile, {**profile, "signature_digest": "sha1"}):
        with pytest.raises(ValidationError, match=r"signature_digest: one of allowed_hashes \(sha384, sha512\)"):
            configuration({**ISSUER, "profile": bad})
    configuration({**ISSUER, "profile": {**profile, "signature_digest": "sha512"}})
