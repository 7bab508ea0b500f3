from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cspd
from cspd.admin.cspctl import main
from tests.unit.config.installations import SOUND, install


def cspctl(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=given, catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> str:
    text = SOUND.replace('certificate = "tls.pem"\nkey = "tls.key"\n', "")  # the real clock would find it expired
    return str(install(tmp_path, text))


@pytest.mark.requirement("R-PLAT-010")
def test_version_tells_release_and_mode(config: str, tmp_path: Path) -> None:
    assert cspctl("version", "--config", config).output == f"cspd {cspd.__version__}, demo\n"
    absent = str(tmp_path / "nowhere.toml")
    assert cspctl("--config", absent, "version").output == f"cspd {cspd.__version__}, not initialised\n"


@pytest.mark.parametrize("arguments", [("--json", "version"), ("version", "--json")], ids=["before", "behind"])
def test_json_may_stand_before_or_behind_the_command(config: str, arguments: tuple[str, ...]) -> None:
    answer = json.loads(cspctl("--config", config, *arguments).output)
    assert answer == {"version": cspd.__version__, "mode": "demo"}


@pytest.mark.requirement("R-PLAT-004")
def test_check_of_a_sound_configuration(config: str) -> None:
    done = cspctl("config", "check", "--config", config)
    assert (done.exit_code, done.stdout) == (0, f"{config}: no problems.\n")


@pytest.mark.requirement("R-PLAT-004")
def test_check_reports_every_problem_and_changes_nothing(config: str) -> None:
    file = Path(config)
    file.write_text(file.read_text().replace("demo", "x").replace("hostname", "hostnam"))
    before = sorted((path, path.stat().st_mtime_ns) for path in file.parent.rglob("*"))
    done = cspctl("config", "check", "--config", config)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "3 problems found."
    found: Any = json.loads(cspctl("--json", "config", "check", "--config", config).stdout)
    assert [(each["line"], each["key"]) for each in found["problems"]] == [
        (1, "server.hostname"),
        (2, "server.mode"),
        (3, "server.hostnam"),
    ]
    assert sorted((path, path.stat().st_mtime_ns) for path in file.parent.rglob("*")) == before


@pytest.mark.requirement("R-PLAT-047")
def test_secret_comes_from_a_literal_a_base64_file_or_standard_input(config: str, tmp_path: Path) -> None:
    kept = tmp_path / "state" / "secrets"
    secret = bytes(range(256))
    encoded = tmp_path / "encoded"
    encoded.write_bytes(base64.encodebytes(secret))
    assert cspctl("secret", "set", "one", "--from-literal", "/ # ! * $ \\ =", "--config", config).exit_code == 0
    assert cspctl("secret", "set", "two", "--from-file", str(encoded), "--config", config).exit_code == 0
    assert cspctl("secret", "set", "three", "--config", config, given=b"from input\n").exit_code == 0
    assert (kept / "one").read_bytes() == b"/ # ! * $ \\ ="
    assert (kept / "two").read_bytes() == secret
    assert (kept / "three").read_bytes() == b"from input"
    assert stat.S_IMODE((kept / "two").stat().st_mode) == 0o600


@pytest.mark.requirement("R-PLAT-047")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("ab", "--from-literal", "x"), "3 to 128 characters"),
        (("abc", "--from-literal", "x" * 131073), "at most 131072 bytes"),
        (("abc", "--from-literal", "x", "--from-file", "FILE"), "exclude each other"),
        (("abc", "--from-file", "FILE"), "does not hold Base64"),
    ],
    ids=["id", "size", "both sources", "not base64"],
)
def test_refused_secret_is_named_and_not_kept(
    config: str, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "plain").write_text("not base64!")
    done = cspctl(
        "secret", "set", *(each.replace("FILE", str(tmp_path / "plain")) for each in arguments), "--config", config
    )
    assert done.exit_code != 0
    assert reason in done.stderr
    assert [path.name for path in (tmp_path / "state" / "secrets").iterdir()] == ["software-master-key"]


def test_secrets_are_listed_by_id_and_deleted_when_confirmed(config: str) -> None:
    cspctl("secret", "set", "one", "--from-literal", "hunter2", "--config", config)
    listed = cspctl("secret", "list", "--json", "--config", config)
    assert json.loads(listed.output) == ["one", "software-master-key"]
    assert cspctl("secret", "delete", "one", "--config", config, given="n\n").exit_code == 1
    assert cspctl("secret", "delete", "one", "--config", config, given="y\n").exit_code == 0
    assert cspctl("secret", "delete", "one", "--yes", "--config", config).exit_code == 1
    assert json.loads(cspctl("secret", "list", "--json", "--config", config).output) == ["software-master-key"]


@pytest.mark.requirement("R-PLAT-120")
def test_init_makes_a_private_installation_with_secrets_of_its_own(tmp_path: Path) -> None:
    """Two of them have nothing secret in common; what production still needs is told by the check."""
    for name in ("one", "two"):
        done = cspctl("init", str(tmp_path / name), "--hostname", "pki.example.com")
        assert done.exit_code == 0
        assert stat.S_IMODE((tmp_path / name / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / name / "cspd.toml").stat().st_mode) == 0o640
    one, two = ((tmp_path / name / "state/secrets/software-master-key").read_bytes() for name in ("one", "two"))
    assert one != two
    checked = cspctl("config", "check", "--config", str(tmp_path / "one" / "cspd.toml"))
    assert [line.split(": ")[1] for line in checked.stderr.splitlines()[:-1]] == ["keys.software"]


def test_init_refuses_a_folder_with_content(tmp_path: Path) -> None:
    (tmp_path / "cspd.toml").touch()
    done = cspctl("init", str(tmp_path))
    assert done.exit_code == 1
    assert done.stderr == f"cspctl: {tmp_path} is there already and not empty\n"


def test_interrupted_init_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".new.unfinished").mkdir()
    (tmp_path / ".new.unfinished" / "left").touch()
    assert cspctl("init", str(tmp_path / "new"), "--hostname", "pki.example.com").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]
    assert not (tmp_path / "new" / "left").exists()
