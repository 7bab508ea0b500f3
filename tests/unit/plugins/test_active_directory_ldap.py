"""What the connector can say to a domain controller: only what reads."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import ldap3
import pytest
from ldap3.core.exceptions import LDAPConnectionIsReadOnlyError

from plugins.active_directory import ldap
from plugins.active_directory.config import ActiveDirectorySettings
from plugins.active_directory.conversation import Controller, Kerberos, Simple
from plugins.active_directory.ldap import LDAPConversation, LDAPDialler
from tests.unit.plugins.test_active_directory_config import DOMAIN

READS = {"bind", "open", "receive_timeout", "search", "server", "start_tls", "strategy", "tls_started", "unbind"}


def dialler(**more: object) -> LDAPDialler:
    domain = ActiveDirectorySettings.model_validate({"domains": [DOMAIN]}).domains[0]
    settings = {"ldaps": True, "start_tls": False, "trusted_pem": None, **more}
    return LDAPDialler(connect_timeout=domain.connect_timeout, read_timeout=domain.read_timeout, **settings)  # type: ignore[arg-type]


@pytest.mark.requirement("R-CEG-134")
@pytest.mark.requirement("R-CEGI-028")
def test_nothing_is_ever_written() -> None:
    """A conversation can search and end, and no line of the module asks a connection of ldap3 for more than reading."""
    assert {name for name in dir(LDAPConversation) if not name.startswith("_")} == {"close", "search"}
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(ldap)))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("connection")
    }
    assert used == READS


def test_ldap3_itself_is_told_that_nothing_is_written() -> None:
    """It takes that seriously for changes, though not for new entries."""
    connection = dialler()._connection(Controller("dc1.example.com", 636), Simple("a", "b"))
    with pytest.raises(LDAPConnectionIsReadOnlyError):
        connection.modify("CN=x", {"cn": [(ldap3.MODIFY_REPLACE, ["y"])]})
    with pytest.raises(LDAPConnectionIsReadOnlyError):
        connection.delete("CN=x")


def test_referrals_are_not_followed_by_ldap3_and_names_are_not_changed() -> None:
    connection = dialler()._connection(Controller("dc1.example.com", 636, "192.0.2.1"), Simple("a", "pass\u00a0word"))
    assert connection.auto_referrals is False
    assert connection.check_names is False
    assert connection.password == "pass\u00a0word".encode()
    assert connection.server.host == "192.0.2.1"
    assert connection.server.tls.valid_names == ["dc1.example.com"]
    assert connection.server.tls.sni == "dc1.example.com"
    assert connection.server.connect_timeout == 30
    assert connection.receive_timeout == 30


def test_kerberos_asks_for_the_ticket_of_the_host_by_its_name() -> None:
    credentials = Kerberos("svc@EXAMPLE.COM", Path("/etc/svc.keytab"))
    connection = dialler()._connection(Controller("dc1.example.com", 636, "192.0.2.1"), credentials)
    assert connection.sasl_credentials == ("dc1.example.com",)
    assert connection.cred_store["client_keytab"] == "/etc/svc.keytab"
