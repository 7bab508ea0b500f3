from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cspd.config.secrets import MAX_SECRET_BYTES, Secrets, SecretStore, SecretUnavailable
from cspd.config.values import SecretReference

EVERY_BYTE = bytes(range(256)) + b'/ # ! * $ \\ = "'


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "secrets")


@pytest.mark.requirement("R-PLAT-048")
@pytest.mark.parametrize("value", [EVERY_BYTE, b"ends with a newline\n", b"x"])
def test_any_bytes_come_back(store: SecretStore, value: bytes) -> None:
    store.set("hsm_pin", value)
    assert store.read("hsm_pin") == value


@pytest.mark.requirement("R-PLAT-050")
def test_files_and_folder_are_private(store: SecretStore, tmp_path: Path) -> None:
    store.set("hsm_pin", b"1234")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets" / "hsm_pin").stat().st_mode) == 0o600


@pytest.mark.requirement("R-PLAT-047")
@pytest.mark.parametrize(
    ("secret_id", "is_allowed"),
    [
        ("abc", True),
        ("a" * 128, True),
        ("A-b_9", True),
        ("ab", False),
        ("a" * 129, False),
        ("9bc", False),
        ("a.b", False),
        ("../x", False),
        ("abc\n", False),
        ("", False),
    ],
)
def test_ids_are_as_specified(store: SecretStore, secret_id: str, is_allowed: bool) -> None:
    if is_allowed:
        store.set(secret_id, b"x")
        assert store.list() == [secret_id]
    else:
        with pytest.raises(ValueError, match="3 to 128 characters"):
            store.set(secret_id, b"x")


@pytest.mark.requirement("R-PLAT-047")
def test_values_up_to_128_kilobytes_are_kept_and_longer_ones_refused(store: SecretStore) -> None:
    store.set("big", b"x" * MAX_SECRET_BYTES)
    with pytest.raises(ValueError, match="at most 131072 bytes"):
        store.set("big", b"x" * (MAX_SECRET_BYTES + 1))
    assert len(store.read("big")) == MAX_SECRET_BYTES


def test_refused_value_leaves_nothing_behind(store: SecretStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        store.set("abc", b"")
    assert store.list() == []


def test_deleted_secret_is_gone(store: SecretStore) -> None:
    store.set("abc", b"x")
    store.delete("abc")
    with pytest.raises(SecretUnavailable, match='no secret "abc" in the secret store'):
        store.read("abc")
    with pytest.raises(KeyError):
        store.delete("abc")


def secrets(folder: Path, **environment: str) -> Secrets:
    return Secrets(folder=folder, store=SecretStore(folder / "secrets"), environment=environment)


def test_file_reference_starts_at_the_conf_folder_and_loses_one_line_end(tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"12\n34\r\n")
    assert secrets(tmp_path).resolve(SecretReference(file="pin")) == b"12\n34"


def test_store_reference_keeps_its_line_end(tmp_path: Path, store: SecretStore) -> None:
    store.set("pin", b"1234\n")
    assert secrets(tmp_path).resolve(SecretReference(store="pin")) == b"1234\n"


def test_environment_reference(tmp_path: Path) -> None:
    assert secrets(tmp_path, PIN="1234").resolve(SecretReference(env="PIN")) == b"1234"
    with pytest.raises(SecretUnavailable, match="the environment variable PIN is not set"):
        secrets(tmp_path).resolve(SecretReference(env="PIN"))


def test_empty_and_oversized_files_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "big").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(SecretUnavailable, match="is empty"):
        secrets(tmp_path).resolve(SecretReference(file="empty"))
    with pytest.raises(SecretUnavailable, match="larger than"):
        secrets(tmp_path).resolve(SecretReference(file="big"))
