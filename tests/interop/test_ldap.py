"""The LDAP connector and a real slapd."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspd.refusals import Malformed, Unauthorized, Unavailable
from plugins.ldap.check import build
from tests.support.processes import free_port
from tests.support.slapd import BASE, Slapd
from tests.support.threads import CallQueue

# ldap3 leaves a socket whose handshake failed to the garbage collector.
pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TEMPLATE = {"user_dn": f"uid={{user}},ou=people,{BASE}"}
SEARCH = {"base": BASE}


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("ldap")) as running:
        yield running


def ask(user: str, password: str, **settings: Any) -> str:
    queue = CallQueue()
    check = build("staff", settings, reactor=queue, secret=lambda reference: b"admin", folder=Path())
    try:
        return queue.result_of(check.check(user, password)).name
    finally:
        check.stop()


def settings(slapd: Slapd, way: dict[str, Any], *, tls: str = "ldaps", **more: Any) -> dict[str, Any]:
    port = slapd.tls_port if tls == "ldaps" else slapd.port
    return {"servers": [f"{tls}://localhost:{port}"], "ca_file": slapd.ca_file, **way, **more}


@pytest.mark.parametrize("way", [TEMPLATE, SEARCH], ids=["template", "search"])
@pytest.mark.parametrize("tls", ["ldaps", "ldap"], ids=["ldaps", "StartTLS"])
def test_the_right_password_and_no_other(slapd: Slapd, way: dict[str, Any], tls: str) -> None:
    conf = settings(slapd, way, tls=tls)
    assert ask("alice", "wonderland", **conf) == "alice"
    for user, password in (("alice", "builder"), ("alice", ""), ("nobody", "wonderland"), ("", "x"), ("a\0", "x")):
        with pytest.raises(Unauthorized, match=r"^unknown user, or wrong password$"):
            ask(user, password, **conf)


@pytest.mark.parametrize("way", [TEMPLATE, SEARCH], ids=["template", "search"])
@pytest.mark.parametrize(
    "user", ["*", "a*", "alice)(uid=*", "alice,ou=people", "bob+uid=alice", "\\61lice", "alice)(|(uid=*)", "\ud800"]
)
def test_a_name_is_never_more_than_a_name(slapd: Slapd, way: dict[str, Any], user: str) -> None:
    with pytest.raises(Unauthorized):
        ask(user, "wonderland", **settings(slapd, way))


@pytest.mark.parametrize("way", [TEMPLATE, SEARCH], ids=["template", "search"])
def test_a_user_has_to_be_in_the_group(slapd: Slapd, way: dict[str, Any]) -> None:
    conf = settings(slapd, way, group_base=BASE, group_filter="(&(cn=enrollers)(member={dn}))")
    assert ask("alice", "wonderland", **conf) == "alice"
    with pytest.raises(Unauthorized):
        ask("bob", "builder", **conf)


def test_who_searches_may_have_to_bind(slapd: Slapd) -> None:
    who = {"bind_dn": f"cn=admin,{BASE}", "bind_password": {"env": "X"}}
    assert ask("bob", "builder", **settings(slapd, SEARCH, **who)) == "bob"
    with pytest.raises(Unavailable) as refused:
        ask("bob", "builder", **settings(slapd, SEARCH, **{**who, "bind_dn": f"cn=other,{BASE}"}))
    assert "does not accept bind_dn" in refused.value.detail


def test_a_server_without_the_right_certificate_is_not_told_the_password(slapd: Slapd, tmp_path: Path) -> None:
    for conf in (
        {**settings(slapd, TEMPLATE), "servers": [f"ldaps://127.0.0.1:{slapd.tls_port}"]},
        {**settings(slapd, TEMPLATE), "ca_file": None},
        {**settings(slapd, TEMPLATE, tls="ldap"), "ca_file": None},
    ):
        with pytest.raises(Unavailable):
            ask("alice", "wonderland", **conf)


def test_the_next_server_is_asked_when_one_is_away(slapd: Slapd) -> None:
    conf = settings(slapd, TEMPLATE)
    away = f"ldaps://localhost:{free_port()}"
    assert ask("alice", "wonderland", **{**conf, "servers": [away, *conf["servers"]]}) == "alice"
    with pytest.raises(Unavailable, match="does not answer"):
        ask("alice", "wonderland", **{**conf, "servers": [away]})


def test_a_server_that_says_nothing_is_given_up() -> None:
    """The question waits in a thread of its own; the reactor's goes on meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = {**TEMPLATE, "servers": [f"ldap://127.0.0.1:{silent.getsockname()[1]}"], "start_tls": False}
        with pytest.raises(Unavailable, match="does not answer"):
            ask("alice", "wonderland", **conf, read_timeout="1s")


@pytest.mark.parametrize("conf", [{}, {"servers": ["http://x"]}, {"servers": ["ldap://x"], "user_dn": "uid=x"}])
def test_settings_are_checked(conf: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="settings"):
        ask("alice", "x", **conf)
