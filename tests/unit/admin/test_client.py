"""cspctl's side of the socket, and what it does where there is none."""

from __future__ import annotations

import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cspd.admin import client, invocation, local
from cspd.admin.client import DaemonDown, NotAllowed, OperationFailed, call, read_answer
from cspd.admin.cspctl import main
from cspd.daemon.lock import StateInUse, StateLock
from tests.unit.config.installations import SOUND, install


def cspctl(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config), *arguments], catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    text = SOUND.replace('certificate = "tls.pem"\nkey = "tls.key"\n', "")  # the real clock would find it expired
    return install(tmp_path, text)


@pytest.fixture
def socket_error(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the connection fail with an error."""

    def fail_with(error: OSError) -> None:
        def connect(self: Any) -> None:
            raise error

        monkeypatch.setattr(client._UnixConnection, "connect", connect)

    return fail_with


def test_answers_are_read() -> None:
    assert read_answer(200, b'{"result": [1]}') == [1]


@pytest.mark.parametrize(
    ("status", "body", "code", "reason"),
    [
        (409, b'{"error": {"code": "conflict", "reason": "it is so"}}', "conflict", "it is so"),
        (503, b"Service Unavailable\n", "failed", "Service Unavailable"),
        (500, b"", "failed", "status 500"),
        (500, b"\xff", "failed", "\ufffd"),
        (200, b"[]", "failed", "[]"),
        (200, b'{"x": 1}', "failed", '{"x": 1}'),
        (400, b'{"error": "text"}', "failed", '{"error": "text"}'),
    ],
)
def test_refusals_and_what_is_no_answer(status: int, body: bytes, code: str, reason: str) -> None:
    with pytest.raises(OperationFailed) as caught:
        read_answer(status, body)
    assert (caught.value.code, caught.value.reason) == (code, reason)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "x"), ConnectionRefusedError(111, "x")])
def test_nobody_listens(socket_error: Any, error: OSError) -> None:
    socket_error(error)
    with pytest.raises(DaemonDown) as caught:
        call(Path("/run/admin.sock"), "ca-list", {})
    assert (caught.value.code, caught.value.reason) == (
        "daemon-down",
        "no daemon runs: nobody listens on /run/admin.sock",
    )


@pytest.mark.parametrize(("owner", "whom"), [("root", "root"), ("cspd", "root or as cspd")])
def test_closed_socket_names_who_may(
    socket_error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, whom: str
) -> None:
    socket_error(PermissionError(13, "x"))
    monkeypatch.setattr(client, "owner_of", lambda _: owner)
    path = tmp_path / "admin.sock"
    with pytest.raises(NotAllowed) as caught:
        call(path, "ca-list", {})
    assert caught.value.reason == f"{path} is closed to you; run cspctl as {whom}"


def test_owner_of_what_cannot_be_seen_is_that_of_the_folder_above(tmp_path: Path) -> None:
    assert client.owner_of(tmp_path / "absent" / "admin.sock") == tmp_path.owner()


def test_broken_connection_is_told(socket_error: Any) -> None:
    socket_error(ConnectionResetError(104, "Connection reset by peer"))
    with pytest.raises(OperationFailed, match="did not finish the answer on"):
        call(Path("/run/admin.sock"), "ca-list", {})


def test_daemon_is_asked_whatever_the_conf_files_say_by_now(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to revoke a certificate must not be held up by a key that somebody is editing."""
    config.write_text(config.read_text() + '\n[admin]\nsocket = "run/a.sock"\n[editing]\n')
    asked: list[Any] = []
    monkeypatch.setattr(invocation, "call", lambda *call: asked.append(call) or [])
    assert cspctl(config, "ca", "list").exit_code == 0
    assert asked == [(config.parent / "run/a.sock", "ca-list", {})]


@pytest.mark.parametrize("server", ["", "server = 3\n", "[server]\nstate = 3\n"])
def test_socket_is_looked_for_where_it_is_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    config = tmp_path / "cspd.toml"
    config.write_text(server)
    asked: list[Path] = []
    monkeypatch.setattr(invocation, "call", lambda path, *_: asked.append(path) or [])
    cspctl(config, "ca", "list")
    assert asked == [tmp_path / "state" / "admin.sock"]


def test_without_a_daemon_the_store_is_worked_on(config: Path) -> None:
    """And the command is audited all the same."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    made = json.loads(cspctl(config, "--json", "org", "create", "demo").stdout)
    assert made["administrators"] == [user]
    assert cspctl(config, "--json", "org", "create", "demo").exit_code == 1
    events = json.loads(cspctl(config, "--json", "audit", "tail").stdout)
    assert [(each["event"], each["actor"], each["outcome"]) for each in events] == [
        ("organization-created", f"cspctl:{user}", "success"),
        ("command-run", f"cspctl:{user}", "success"),
        ("command-run", f"cspctl:{user}", "refused"),
    ]
    assert stat.S_IMODE((config.parent / "state" / "store.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize("command", ["status", "reload"])
def test_what_needs_a_daemon_says_so(config: Path, command: str) -> None:
    result = cspctl(config, command)
    expected = f"no daemon runs: nobody listens on {config.parent / 'state' / 'admin.sock'}"
    assert (result.exit_code, result.stderr) == (1, f"cspctl: {expected}\n")
    answer = json.loads(cspctl(config, "--json", command).stdout)
    assert answer == {"error": "daemon-down", "reason": expected}


def test_store_is_left_alone_while_somebody_holds_it(config: Path) -> None:
    """A daemon that starts or stops has no socket, but the lock."""
    lock = StateLock(config.parent / "state")
    lock.acquire()
    try:
        result = cspctl(config, "ca", "list")
    finally:
        lock.release()
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"cspctl: another cspd, process {os.getpid()}, works on {config.parent / 'state'}; "
    )


def test_refused_configuration_is_a_json_object_too(config: Path) -> None:
    config.write_text(config.read_text().replace("demo", "x"))
    answer = json.loads(cspctl(config, "--json", "ca", "list").stdout)
    assert (answer["error"], answer["reason"]) == ("configuration-refused", "1 problem found")
    assert [each["key"] for each in answer["problems"]] == ["server.mode"]


def test_state_of_somebody_else_names_who_may(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(self: StateLock) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(StateLock, "acquire", acquire)
    result = cspctl(config, "ca", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"cspctl: {config.parent / 'state'} is closed to you; run cspctl as root")


@pytest.mark.parametrize(
    ("euid", "owner", "becomes"), [(0, 998, True), (0, 0, False), (998, 998, False), (998, 0, False)]
)
def test_root_becomes_the_owner_of_the_state(
    monkeypatch: pytest.MonkeyPatch, euid: int, owner: int, *, becomes: bool
) -> None:
    """What root would make in the folder, the daemon could not open."""
    calls: list[Any] = []

    class Folder:
        def stat(self) -> os.stat_result:
            return os.stat_result((0o40700, 1, 1, 1, owner, 997, 0, 0, 0, 0))

    monkeypatch.setattr(os, "geteuid", lambda: euid)
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: calls.append((name, value)))
    local.become_owner(Folder())  # type: ignore[arg-type]  # what a Path is to it
    assert calls == ([("setgroups", []), ("setgid", 997), ("setuid", 998)] if becomes else [])


def test_state_in_use_is_what_the_lock_raises(tmp_path: Path) -> None:
    one, other = StateLock(tmp_path), StateLock(tmp_path)
    one.acquire()
    with pytest.raises(StateInUse):
        other.acquire()
    one.release()


def test_exit_status_is_documented_and_wrong_usage_is_2(config: Path) -> None:
    assert "2 wrong usage" in " ".join(cspctl(config, "--help").stdout.split())
    for arguments in (
        ("ca",),
        ("ca", "show"),
        ("ca", "show", "a~b", "c"),
        ("nothing",),
        ("cert", "list", "--limit", "0"),
    ):
        assert cspctl(config, *arguments).exit_code == 2


def test_every_command_has_a_help_of_one_whole_line(config: Path) -> None:
    """The list of commands cuts no sentence off."""
    groups = [(), *((name,) for name in ("audit", "ca", "cert", "config", "key", "org", "profile", "secret"))]
    for group in groups:
        listed = cspctl(config, *group, "--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
        assert listed
        assert "..." not in listed
