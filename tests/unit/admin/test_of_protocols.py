"""Commands and operations that protocols bring along."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from cspd.admin import cspctl as cspctl_module
from cspd.admin import invocation
from cspd.admin.commands.of_protocols import declared_commands
from cspd.admin.cspctl import main
from cspd.config.loader import load_configuration
from tests.support.plugins import greeting_plugins
from tests.unit.config.installations import SOUND, install

_SOUND = SOUND.replace('certificate = "tls.pem"\nkey = "tls.key"\n', "")  # the real clock would find it expired


@pytest.fixture
def use_plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], None]:
    """Let cspctl find the protocols of another package."""

    def use(package: ModuleType) -> None:
        monkeypatch.setattr(cspctl_module, "declared_commands", partial(declared_commands, package=package))
        monkeypatch.setattr(invocation, "load_configuration", partial(load_configuration, plugins=package))

    return use


@pytest.fixture
def plugins(tmp_path: Path, use_plugins: Callable[[ModuleType], None]) -> Iterator[ModuleType]:
    """The protocol ``greeting`` and no other."""
    with greeting_plugins(tmp_path) as package:
        use_plugins(package)
        yield package


def installation(folder: Path, greeting: str) -> Path:
    """With no protocol but ``greeting``."""
    text = _SOUND.partition("[listeners.http]")[0]
    served = '["greeting"]' if greeting else "[]"
    return install(folder, text + f'[listeners.http]\nendpoint = "tcp:8080"\nprotocols = {served}\n{greeting}')


def cspctl(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_help_has_the_summary_and_imports_nothing(plugins: ModuleType) -> None:
    listed = cspctl("--help").stdout
    assert re.search(r"^  greet +Greets people$", listed, re.MULTILINE)
    assert "greeting_commands" not in sys.modules


def test_commands_are_imported_when_they_are_named(plugins: ModuleType) -> None:
    assert "Greet people, one by one." in cspctl("greet", "--help").stdout
    assert "Greet NAME." in cspctl("greet", "send", "--help").stdout


def test_wrong_usage_behind_the_door_is_wrong_usage(plugins: ModuleType) -> None:
    assert cspctl("greet").exit_code == 2
    assert cspctl("greet", "shout").exit_code == 2


@pytest.mark.parametrize("order", ["before", "between", "behind"])
def test_shared_options_stand_anywhere(plugins: ModuleType, tmp_path: Path, order: str) -> None:
    options = ("--json", "--config", str(installation(tmp_path, "[protocols.greeting]\n")))
    arguments = {
        "before": (*options, "greet", "send", "bob"),
        "between": ("greet", *options, "send", "bob"),
        "behind": ("greet", "send", "bob", *options),
    }
    assert json.loads(cspctl(*arguments[order]).stdout) == {"said": "hello bob"}


def test_operation_of_a_protocol_is_audited_without_a_daemon_too(plugins: ModuleType, tmp_path: Path) -> None:
    config = str(installation(tmp_path, "[protocols.greeting]\n"))
    assert cspctl("--config", config, "greet", "send", "bob").stdout == "hello bob\n"
    events = json.loads(cspctl("--json", "--config", config, "audit", "tail").stdout)
    assert [(each["event"], each["outcome"]) for each in events] == [("command-run", "success")]


def test_protocol_that_cannot_be_built_disturbs_no_other_command(plugins: ModuleType, tmp_path: Path) -> None:
    config = str(installation(tmp_path, '[protocols.greeting]\nword = "none"\n'))
    refused = cspctl("--config", config, "greet", "send", "bob")
    assert (refused.exit_code, refused.stderr) == (1, "cspctl: no word to greet with\n")
    assert cspctl("--config", config, "org", "create", "demo").exit_code == 0


def test_protocol_that_is_not_configured_has_no_operations(plugins: ModuleType, tmp_path: Path) -> None:
    refused = cspctl("--config", str(installation(tmp_path, "")), "greet", "send", "bob")
    assert (refused.exit_code, refused.stderr) == (1, "cspctl: there is no operation 'greet-send'\n")


def test_commands_that_do_not_import_are_named_and_leave_the_others_alone(
    tmp_path: Path, use_plugins: Callable[[ModuleType], None]
) -> None:
    with greeting_plugins(tmp_path, commands="import nowhere_to_be_found\n") as package:
        use_plugins(package)
        refused = cspctl("greet", "send", "bob")
        assert refused.exit_code == 1
        assert '"greeting" cannot be loaded from greeting_commands:greet: ModuleNotFoundError' in refused.stderr
        assert cspctl("--help").exit_code == 0


def test_a_protocol_does_not_take_one_of_our_names(tmp_path: Path, use_plugins: Callable[[ModuleType], None]) -> None:
    with greeting_plugins(tmp_path) as package:
        module = tmp_path / "greeting_plugins" / "greeting.py"
        module.write_text(module.read_text().replace('"greet"', '"ca"'))
        use_plugins(package)
        assert "Make, show, renew and end CAs." in cspctl("--help").stdout
        assert "create" in cspctl("ca", "--help").stdout
