"""The section, and the file of users."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.est.config import ESTConfig
from protocols.est.users import BadUsersFile, read_users
from tests.protocols.est.world import LABEL, configuration
from tests.support.clocks import FrozenClock


def test_a_label_has_what_the_section_says_unless_it_says_otherwise() -> None:
    own = {**LABEL, "id": "slow", "approval": True, "authentication": ["certificate"]}
    section = configuration(labels=[LABEL, own], approval_retry="5m", revoke_replaced=True)
    usual, slow = (section.terms_of(label) for label in section.labels)
    assert (usual.approval, usual.basic, usual.certificate, usual.revoke_replaced) == (False, True, True, True)
    assert (slow.approval, slow.basic, slow.certificate, slow.revoke_replaced) == (True, False, True, True)
    assert usual.retry_after == slow.retry_after == timedelta(minutes=5)
    assert str(usual.ca) == "demo~issuing"


@pytest.mark.parametrize(
    "values",
    [
        {"users": None},
        {"default_label": "other"},
        {"labels": [LABEL, LABEL]},
        {"labels": [{**LABEL, "id": "a_b"}], "default_label": None},
        {"labels": [{**LABEL, "id": "cacerts"}], "default_label": None},
        {"labels": [{**LABEL, "ca": "issuing"}]},
        {"authentication": []},
        {"authentication": ["digest"]},
        {"approval_retry": "0s"},
        {"realm": 'a"b'},
        {"unknown": 1},
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any]) -> None:
    configuration()
    with pytest.raises(ValidationError):
        configuration(**values)


def test_certificates_alone_need_no_users() -> None:
    assert ESTConfig.model_validate({"authentication": ["certificate"]}).users is None


@pytest.mark.parametrize(
    "text", ["alice\n", ":secret\n", "alice:\n", "alice:a\nalice:b\n", "a:b\n" + "x" * (1 << 20), b"\xff:a\n"]
)
def test_bad_files_of_users(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "users"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o600)
    with pytest.raises(BadUsersFile, match="users"):
        read_users(file)


def test_a_file_of_users_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:a\n")
    file.chmod(0o644)
    [problem] = configuration().inspect(tmp_path, FrozenClock().now()).problems
    assert problem.key == ("users",)
    file.chmod(0o600)
    assert not configuration().inspect(tmp_path, FrozenClock().now()).problems
    assert set(read_users(file)) == {"alice"}


def test_a_missing_file_of_users_is_a_problem(tmp_path: Path) -> None:
    [problem] = configuration().inspect(tmp_path, FrozenClock().now()).problems
    assert "cannot be read" in problem.what
