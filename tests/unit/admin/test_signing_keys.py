"""The operations that ``cspctl tsa create-key`` and its like ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cspd.admin.client import OperationFailed
from cspd.x509.identifiers import subject_key_identifier
from cspd.x509.names import format_name
from tests.support.administration import Administration


def ask(administration: Administration, operation: str, **arguments: Any) -> Any:
    return administration.call(Path(), operation, {"provider": "software", **arguments})


def create(administration: Administration, **arguments: Any) -> Any:
    return ask(administration, "key-create", **{"key_type": "ec-p256", "label": "tsa", **arguments})


@pytest.mark.requirement("R-TSA-073")
def test_key_id_is_the_key_identifier_and_the_default_subject(administration: Administration) -> None:
    made = create(administration)
    csr = x509.load_pem_x509_csr(made["csr"].encode())
    assert csr.is_signature_valid
    assert made["key_id"] == subject_key_identifier(csr.public_key()).hex()
    assert len(made["key_id"]) == 40
    assert format_name(csr.subject) == f"CN={made['key_id']}"


@pytest.mark.requirement("R-TSA-076")
def test_another_request_for_the_same_key(administration: Administration) -> None:
    made = create(administration)
    again = ask(administration, "key-request", key_id=made["key_id"].upper(), subject="CN=Unit 1, O=Example")
    one, other = (x509.load_pem_x509_csr(each["csr"].encode()) for each in (made, again))
    assert one.public_key() == other.public_key()
    assert format_name(other.subject) == "CN=Unit 1,O=Example"


@pytest.mark.requirement("R-TSA-077")
def test_deleted_key_is_gone(administration: Administration) -> None:
    made = create(administration)
    assert ask(administration, "key-delete", key_id=made["key_id"])["deleted"] == ["public", "private"]
    assert ask(administration, "key-objects") == []
    with pytest.raises(OperationFailed, match="there is no key with the id"):
        ask(administration, "key-delete", key_id=made["key_id"])


def test_key_of_a_ca_is_not_deleted(hierarchy: Administration) -> None:
    (root, *_) = [each for each in hierarchy.json("key", "list") if each["used_by"] == ["demo~root"]]
    identifier = root["reference"].partition(":")[2]
    with pytest.raises(OperationFailed, match="is that of demo~root") as refused:
        ask(hierarchy, "key-delete", key_id=identifier)
    assert refused.value.code == "key-in-use"


@pytest.mark.parametrize(
    ("subject", "code"), [("", "bad-name"), ("CN", "bad-name"), ("NOTHING=x", "bad-name"), ("C=Spain", "bad-name")]
)
def test_bad_subject_leaves_no_key(administration: Administration, subject: str, code: str) -> None:
    with pytest.raises(OperationFailed) as refused:
        create(administration, subject=subject)
    assert refused.value.code == code
    assert ask(administration, "key-objects") == []


@pytest.mark.parametrize("key_id", ["", "xyz", "0" * 257])
def test_key_id_that_is_none(administration: Administration, key_id: str) -> None:
    with pytest.raises(OperationFailed) as refused:
        ask(administration, "key-request", key_id=key_id)
    assert refused.value.code == "malformed"


@pytest.mark.requirement("R-TSA-078")
def test_objects_tell_half_kind_label_id_and_usage(administration: Administration) -> None:
    made = create(administration, key_type="rsa-2048")
    assert [
        (each["object"], each["kind"], each["label"], each["usage"]) for each in ask(administration, "key-objects")
    ] == [
        ("public", "RSA 2048 bits", "tsa", ["verify"]),
        ("private", "RSA 2048 bits", "tsa", ["sign"]),
    ]
    assert {each["key_id"] for each in ask(administration, "key-objects")} == {made["key_id"]}
