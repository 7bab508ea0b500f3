"""The connector and a real Active Directory, which is Samba's."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.security_descriptors import AUTO_ENROLL, ENROLL
from cspd.directory.values import AccountKind, Principal
from cspd.refusals import Malformed, NotFound, Unauthorized, Unavailable
from plugins.active_directory.assembly import build_password_check
from plugins.active_directory.conversation import Controller, Scope, Search, Simple
from plugins.active_directory.directory import ActiveDirectory
from plugins.active_directory.ldap import LDAPDialler
from tests.interop.active_directory.asking import SECRETS, ask
from tests.support.reactors import run_in_reactor
from tests.support.samba_ad import PASSWORD, SambaAD

# ldap3 leaves a socket whose handshake failed to the garbage collector.
pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.requirement("R-CEG-128")
@pytest.mark.requirement("R-CEGI-022")
def test_all_forms_of_a_name_are_one_account(samba: SambaAD) -> None:
    names = ["alice", "CSPD\\alice", "alice@CSPD", "cspd.test\\alice", "alice@cspd.test", "ALICE@Cspd.Test"]

    async def question(directory: ActiveDirectory) -> set[str]:
        return {(await directory.authenticate(name, PASSWORD)).sid for name in names}

    sids = ask(samba.settings(), question)
    assert len(sids) == 1
    assert sids.pop().startswith(samba.sid + "-")


def test_what_is_known_of_a_user(samba: SambaAD) -> None:
    account = ask(samba.settings(), lambda directory: directory.authenticate("alice", PASSWORD))
    assert account.kind is AccountKind.USER
    assert (account.domain, account.netbios_domain, str(account)) == ("cspd.test", "CSPD", "CSPD\\alice")
    assert account.common_name == "Alice Adams"
    assert account.distinguished_name == "CN=Alice Adams,CN=Users,DC=cspd,DC=test"
    assert account.user_principal_name == account.mail == "alice@cspd.test"
    assert account.dns_host_name is None
    assert isinstance(account.guid, UUID)
    assert {"S-1-1-0", "S-1-5-11", f"{samba.sid}-513", account.sid} <= account.group_sids


def test_what_is_known_of_a_machine(samba: SambaAD) -> None:
    account = ask(samba.settings(), lambda directory: directory.authenticate("CSPD\\WS1$", PASSWORD))
    assert account.kind is AccountKind.MACHINE
    assert account.dns_host_name == "ws1.cspd.test"
    assert account.service_principal_names == ("HOST/WS1", "HOST/ws1.cspd.test")
    assert account.user_principal_name == "WS1$@cspd.test"


def test_a_user_principal_name_with_another_suffix(samba: SambaAD) -> None:
    account = ask(samba.settings(), lambda directory: directory.authenticate("dave.dunn@corp.example", PASSWORD))
    assert account.account_name == "dave"
    assert account.user_principal_name == "dave.dunn@corp.example"


def test_letters_of_all_kinds(samba: SambaAD) -> None:
    account = ask(samba.settings(), lambda directory: directory.authenticate("uml", PASSWORD))
    assert account.common_name == "Jörg Müller, X"
    assert account.distinguished_name == "CN=Jörg Müller\\, X,CN=Users,DC=cspd,DC=test"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("", PASSWORD),
        ("nobody", PASSWORD),
        ("disabled", PASSWORD),
        ("locked", PASSWORD),
        ("expired", PASSWORD),
        ("OTHER\\alice", PASSWORD),
        ("alice@elsewhere.test", PASSWORD),
        ("*", PASSWORD),
        ("alic*", PASSWORD),
        ("alice)(objectClass=*", PASSWORD),
        ("WSTEP Access", PASSWORD),
    ],
)
def test_everybody_else_is_told_the_same(samba: SambaAD, name: str, password: str) -> None:
    with pytest.raises(Unauthorized, match=r"^unknown user, or wrong password$"):
        ask(samba.settings(), lambda directory: directory.authenticate(name, password))


@pytest.mark.requirement("R-CEGI-023")
def test_the_domain_is_the_names_else_the_requests_else_that_of_conf(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        await directory.authenticate("CSPD\\alice", PASSWORD, domain="elsewhere.test")
        await directory.authenticate("alice", PASSWORD, domain="CSPD")
        await directory.authenticate("alice", PASSWORD)
        for name, domain in (("alice", "elsewhere.test"), ("ELSEWHERE\\alice", "CSPD"), ("alice", "*")):
            with pytest.raises(Unauthorized):
                await directory.authenticate(name, PASSWORD, domain=domain)

    ask(samba.settings(default_domain="cspd.test"), question)
    with pytest.raises(Unauthorized):
        ask(
            samba.settings(default_domain="elsewhere.test"),
            lambda directory: directory.authenticate("alice", PASSWORD),
        )


@pytest.mark.parametrize(
    "settings",
    [{"ldaps": True}, {"ldaps": False}, {"ca_file": "P12", "ca_password": {"env": "TRUSTSTORE"}}],
    ids=["LDAPS", "StartTLS", "PKCS#12"],
)
@pytest.mark.requirement("R-CEG-130")
@pytest.mark.requirement("R-CEGI-026")
def test_ways_to_a_domain_controller(samba: SambaAD, settings: dict[str, Any]) -> None:
    """With user name and password, whose search for a userPrincipalName also needs the global catalog."""
    if settings.get("ca_file"):
        settings = {**settings, "ca_file": str(samba.truststore)}
    conf = samba.settings(domains=[samba.domain_settings(**settings)])
    account = ask(conf, lambda directory: directory.authenticate("alice@cspd.test", PASSWORD))
    assert account.account_name == "alice"


@pytest.mark.requirement("R-CEG-130")
@pytest.mark.requirement("R-CEGI-026")
def test_a_domain_controller_with_another_certificate_is_not_told_a_password(samba: SambaAD) -> None:
    for settings in ({"ca_file": None}, {"ca_file": None, "ldaps": False}):
        conf = samba.settings(domains=[samba.domain_settings(**settings)])
        with pytest.raises(Unavailable, match="does not answer") as refused:
            ask(conf, lambda directory: directory.authenticate("alice", PASSWORD))
        assert "certificate verify failed" in refused.value.detail


def test_a_name_that_is_not_in_the_certificate_is_refused(samba: SambaAD) -> None:
    dial = dialler(samba)
    with pytest.raises(Exception, match="doesn't match any name"):
        dial(Controller("elsewhere.test", 636, _other_address(samba)), Simple("svc-ldap@cspd.test", PASSWORD))


def _other_address(samba: SambaAD) -> str:
    """The certificate also has the address of the domain controller, in its usual form alone."""
    return str(int.from_bytes(socket.inet_aton(samba.address), "big"))


def dialler(samba: SambaAD) -> LDAPDialler:
    seconds = timedelta(seconds=20)
    pem = samba.ca_file.read_text()
    return LDAPDialler(ldaps=True, start_tls=False, trusted_pem=pem, connect_timeout=seconds, read_timeout=seconds)


def test_the_account_that_reads_may_be_refused(samba: SambaAD) -> None:
    conf = samba.settings(domains=[samba.domain_settings(password={"env": "WRONG"})])
    with pytest.raises(Unavailable) as refused:
        ask(conf, lambda directory: directory.authenticate("alice", PASSWORD))
    assert "does not accept the account that reads: wrong password" in refused.value.detail


def test_a_pkcs12_needs_its_password(samba: SambaAD) -> None:
    settings = {"ca_file": str(samba.truststore), "ca_password": {"env": "WRONG"}}
    with pytest.raises(Malformed, match="PKCS#12"):
        ask(
            samba.settings(domains=[samba.domain_settings(**settings)]),
            lambda directory: directory.templates(domain=""),
        )


@pytest.mark.requirement("R-CEG-129")
@pytest.mark.requirement("R-CEGI-027")
def test_domain_controllers_by_dns_or_by_conf(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> str:
        return str(await directory.authenticate("alice@cspd.test", PASSWORD))

    assert ask(samba.settings(), question) == "CSPD\\alice"
    named = samba.domain_settings(domain_controllers=[samba.controller])
    assert ask(samba.settings(domains=[named]), question) == "CSPD\\alice"
    absent = samba.domain_settings(domain_controllers=["dc9.cspd.test"])
    with pytest.raises(Unavailable, match="no domain controller can be found"):
        ask(samba.settings(domains=[absent]), question)


def test_a_domain_that_dns_does_not_know(samba: SambaAD) -> None:
    elsewhere = samba.domain_settings(name="elsewhere.test")
    with pytest.raises(Unavailable, match="no domain controller can be found"):
        ask(samba.settings(domains=[elsewhere]), lambda directory: directory.templates(domain="elsewhere.test"))


def test_groups_within_groups(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        outer = await directory.security_group("CSPD\\Outer")
        inner = await directory.security_group("Inner@cspd.test")
        bob = await directory.authenticate("bob", PASSWORD)
        assert {outer.sid, inner.sid} <= bob.group_sids
        alice = await directory.authenticate("alice", PASSWORD)
        assert not {outer.sid, inner.sid} & alice.group_sids

    ask(samba.settings(), question)


@pytest.mark.requirement("R-CEG-165")
def test_security_groups_by_all_forms_of_their_names(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        names = ["CSPD\\WSTEP Access", "cspd.test\\WSTEP Access", "WSTEP Access@CSPD", "WSTEP Access@cspd.test"]
        assert len({(await directory.security_group(name)).sid for name in names}) == 1
        for name in ("CSPD\\Letters", "CSPD\\alice", "CSPD\\Nobody", "OTHER\\WSTEP Access", "WSTEP Access", "a\\b@c"):
            with pytest.raises(NotFound):
                await directory.security_group(name)

    ask(samba.settings(), question)


def test_a_ticket_names_an_account(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        alice = await directory.authenticate("alice", PASSWORD)
        assert await directory.account_of(Principal(name="alice@CSPD.TEST")) == alice
        assert await directory.account_of(Principal(name="renamed@CSPD.TEST", sid=alice.sid)) == alice
        machine = await directory.account_of(Principal(name="WS1$@CSPD.TEST"))
        assert machine.kind is AccountKind.MACHINE
        for name in (
            "nobody@CSPD.TEST",
            "disabled@CSPD.TEST",
            "locked@CSPD.TEST",
            "alice@ELSEWHERE.TEST",
            "host/a@CSPD.TEST",
        ):
            with pytest.raises(Unauthorized):
                await directory.account_of(Principal(name=name))
        with pytest.raises(Unauthorized):
            await directory.account_of(Principal(name="alice@CSPD.TEST", sid=f"{samba.sid}-99999"))

    ask(samba.settings(), question)


@pytest.mark.requirement("R-CEG-144")
def test_templates_by_object_identifier_and_by_name(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        names = [template.name for template in await directory.templates(domain="CSPD")]
        assert names == ["User", "WSTEPEncrypt", "WSTEPMachine", "WSTEPSign", "WSTEPSupply", "WSTEPUser"]
        template = await directory.template_by_name("wstepuser", domain="cspd.test")
        assert template == await directory.template_by_oid(template.oid, domain="cspd.test")
        assert (template.schema_version, template.major_revision, template.minor_revision) == (2, 100, 2)
        assert template.key_usage == {KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.KEY_ENCIPHERMENT}
        assert (template.validity.days, template.renewal_overlap.days) == (365, 42)
        assert template.minimal_key_size == 2048
        assert (await directory.template_by_name("WSTEPMachine", domain="CSPD")).is_for_machines
        for oid in ("1.2.3", ""):
            with pytest.raises(NotFound):
                await directory.template_by_oid(oid, domain="CSPD")
        with pytest.raises(NotFound):
            await directory.template_by_name("Nothing", domain="CSPD")

    ask(samba.settings(), question)


@pytest.mark.requirement("R-CEGI-045")
def test_who_may_enroll_is_what_the_access_control_lists_say(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        alice = await directory.authenticate("alice", PASSWORD)
        bob = await directory.authenticate("bob", PASSWORD)
        allowed = {
            (template.name, account.account_name)
            for template in await directory.templates(domain="CSPD")
            for account in (alice, bob)
            if template.security.allows(ENROLL, account.group_sids)
        }
        everybody = {(name, who) for name in ("User", "WSTEPSign", "WSTEPEncrypt") for who in ("alice", "bob")}
        assert allowed == everybody | {("WSTEPUser", "alice"), ("WSTEPMachine", "alice")}
        template = await directory.template_by_name("WSTEPUser", domain="CSPD")
        assert template.security.allows(AUTO_ENROLL, alice.group_sids)
        services = {service.name: service for service in await directory.enrollment_services(domain="CSPD")}
        service = services["CSPD WSTEP"]
        assert service.security.allows(ENROLL, bob.group_sids)
        assert "WSTEPUser" in service.certificate_templates
        assert len(service.enrollment_servers) == 2

    ask(samba.settings(), question)


def test_the_directory_as_a_password_check(samba: SambaAD) -> None:
    async def checking(reactor: Any) -> None:
        check = build_password_check(
            "staff",
            samba.settings(),
            reactor=reactor,
            secret=lambda reference: SECRETS[str(reference.env)],
            folder=samba.folder,
        )
        try:
            for name in ("alice", "alice@cspd.test"):
                identity = await check.check(name, PASSWORD)
                assert (identity.name, identity.method) == ("CSPD\\alice", "staff")
            with pytest.raises(Unauthorized):
                await check.check("alice", "wrong")
        finally:
            check.stop()

    run_in_reactor(checking)


def test_a_domain_controller_that_says_nothing_is_given_up(samba: SambaAD) -> None:
    with socket.create_server((samba.address, 0)) as silent:
        for settings in ({"ldaps": True}, {"ldaps": False}):
            conf = samba.settings(
                domains=[
                    samba.domain_settings(
                        ldap_port=silent.getsockname()[1], read_timeout="1s", connect_timeout="1s", **settings
                    )
                ]
            )
            begun = time.monotonic()
            with pytest.raises(Unavailable, match="does not answer"):
                ask(conf, lambda directory: directory.authenticate("alice", PASSWORD))
            assert time.monotonic() - begun < 30  # the defaults are 30 s each


def test_a_kept_connection_may_be_over_and_the_directory_comes_back(samba: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        await directory.authenticate("alice", PASSWORD)
        samba.stop()
        with pytest.raises(Unavailable):
            await directory.authenticate("alice", PASSWORD)
        samba.start()
        await directory.authenticate("alice", PASSWORD)

    try:
        named = samba.domain_settings(domain_controllers=[samba.controller])
        ask({**samba.settings(domains=[named]), "dns_timeout": "60s"}, question)
    finally:
        samba.stop()
        samba.start()


def test_more_entries_than_a_page_are_read(samba: SambaAD) -> None:
    conversation = dialler(samba)(
        Controller(samba.controller, 636, samba.address), Simple("svc-ldap@cspd.test", PASSWORD)
    )
    schema = Search(
        base="CN=Schema,CN=Configuration,DC=cspd,DC=test",
        filter="(objectClass=attributeSchema)",
        attributes=("cn",),
        scope=Scope.ONE,
        limit=5000,
    )
    assert len(conversation.search(schema).entries) > 1000
    few = Search(base=schema.base, filter=schema.filter, attributes=("cn",), scope=Scope.ONE, limit=10)
    assert len(conversation.search(few).entries) == 11
    conversation.close()
