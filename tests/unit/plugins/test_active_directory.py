"""Accounts, domains and forests, with domain controllers in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from cspd.authentication.interfaces import Stoppable
from cspd.authentication.values import Identity
from cspd.directory.interfaces import HasDirectory
from cspd.directory.security_identifiers import encode_sid
from cspd.directory.values import Principal, TrustedAuthorities
from cspd.refusals import NotFound, Unauthorized, Unavailable
from plugins.active_directory.check import DirectoryPasswords
from plugins.active_directory.conversation import Entry, Scope, Search, Simple
from plugins.active_directory.directory import ActiveDirectory
from tests.support.clocks import FrozenClock
from tests.support.running import result_of
from tests.unit.plugins.domain_controllers import (
    NAMES,
    PARTITIONS,
    READER,
    Names,
    Seconds,
    World,
    cross_reference,
    directory,
    forest,
    texts,
    user,
)

ALICE = user("alice", 1001, userPrincipalName="alice@example.com")
DAVE = user("dave", 1002, userPrincipalName="dave.dunn@corp.example")
CHRIS = user("chris", 1003, domain="DC=child,DC=example,DC=com", userPrincipalName="chris@child.example.com")


@pytest.fixture
def world() -> World:
    passwords = {entry.dn: "right" for entry in (ALICE, DAVE, CHRIS)}
    return World(
        entries={"dc1.example.com": [*PARTITIONS, ALICE, DAVE, CHRIS], "dc.child.example.com": [CHRIS]},
        passwords=passwords,
    )


@pytest.fixture
def windows(world: World) -> ActiveDirectory:
    return directory(forest(world))


def name_of(directory: ActiveDirectory, name: str, **more: Any) -> str:
    return str(result_of(directory.authenticate(name, "right", **more)))


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("alice", "EXAMPLE\\alice"),
        ("example\\alice", "EXAMPLE\\alice"),
        ("alice@EXAMPLE", "EXAMPLE\\alice"),
        ("Example.Com\\alice", "EXAMPLE\\alice"),
        ("alice@example.com", "EXAMPLE\\alice"),
        ("dave@example.com", "EXAMPLE\\dave"),
        ("dave.dunn@corp.example", "EXAMPLE\\dave"),
        ("CHILD\\chris", "CHILD\\chris"),
        ("chris@child.example.com", "CHILD\\chris"),
        ("child.example.com\\chris", "CHILD\\chris"),
    ],
)
@pytest.mark.requirement("R-CEG-128")
def test_names_and_their_accounts(windows: ActiveDirectory, name: str, account: str) -> None:
    assert name_of(windows, name) == account


def test_an_account_is_asked_for_and_logs_on_in_its_own_domain(windows: ActiveDirectory, world: World) -> None:
    name_of(windows, "chris@child.example.com")
    assert ("dc.child.example.com:389", Simple(CHRIS.dn, "right")) in world.dialled
    asked = [host for host, search in world.asked if "tokenGroups" in search.attributes]
    assert asked == ["dc.child.example.com:389"]


def test_a_user_principal_name_is_looked_up_in_the_global_catalog(windows: ActiveDirectory, world: World) -> None:
    name_of(windows, "dave.dunn@corp.example")
    assert [search.base for host, search in world.asked if host == "dc1.example.com:3268"] == [""]


@pytest.mark.requirement("R-CEGI-023")
def test_the_domain_of_a_name_that_has_none(world: World) -> None:
    windows = directory(forest(world), default_domain="child.example.com")
    assert name_of(windows, "alice", domain="EXAMPLE") == "EXAMPLE\\alice"
    assert name_of(windows, "chris") == "CHILD\\chris"
    assert name_of(windows, "EXAMPLE\\alice", domain="CHILD") == "EXAMPLE\\alice"
    for name, domain in (("alice", None), ("alice", "NOWHERE"), ("NOWHERE\\alice", "EXAMPLE"), ("alice", "a b")):
        with pytest.raises(Unauthorized):
            name_of(windows, name, domain=domain)


def test_domains_of_other_forests_that_a_forest_mentions_are_not_its_own(windows: ActiveDirectory) -> None:
    with pytest.raises(Unauthorized):
        name_of(windows, "PARTNER\\alice")


@pytest.mark.parametrize("password", ["", "\0", "ri\0ght", "x" * 1025, "\ud800"])
def test_what_is_no_password_never_gets_to_a_domain_controller(
    windows: ActiveDirectory, world: World, password: str
) -> None:
    world.passwords[ALICE.dn] = password
    with pytest.raises(Unauthorized, match=r"^unknown user, or wrong password$"):
        result_of(windows.authenticate("alice", password))
    assert not world.dialled


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"userAccountControl": "514"}, "disabled"),
        ({"msDS__User__Account__Control__Computed": "16"}, "locked"),
        ({"msDS__User__Account__Control__Computed": "8388608"}, "expired"),
        ({"accountExpires": "134000000000000000"}, None),
        ({"accountExpires": "132000000000000000"}, "expired"),
        ({"accountExpires": "0"}, None),
    ],
)
def test_who_may_not_log_on(world: World, change: dict[str, str], why: str | None) -> None:
    """The fourth expires on 2025-08-18, more than a year before the clock of the test, the fifth in 2019."""
    world.entries["dc1.example.com"] = [*PARTITIONS, user("alice", 1001, **change)]
    clock = FrozenClock(datetime(2025, 1, 1, tzinfo=UTC))
    windows = ActiveDirectory([forest(world)], default_domain="example.com", clock=clock, threads=None)  # type: ignore[arg-type]
    if why is None:
        assert name_of(windows, "alice") == "EXAMPLE\\alice"
    else:
        with pytest.raises(Unauthorized, match=r"^unknown user, or wrong password$") as refused:
            name_of(windows, "alice")
        assert why in refused.value.detail
        with pytest.raises(Unauthorized):
            result_of(windows.account_of(Principal(name="alice@EXAMPLE.COM")))


def test_two_accounts_of_one_name_are_none(world: World) -> None:
    twin = Entry("CN=Twin,CN=Users,DC=example,DC=com", ALICE.attributes)
    world.entries["dc1.example.com"].append(twin)
    for name in ("alice", "alice@example.com"):
        with pytest.raises(Unauthorized):
            name_of(directory(forest(world)), name)


def test_a_tickets_sid_goes_before_its_name(windows: ActiveDirectory) -> None:
    by_sid = Principal(name="alice@EXAMPLE.COM", sid="S-1-5-21-1-2-3-1002")
    assert str(result_of(windows.account_of(by_sid))) == "EXAMPLE\\dave"
    for principal in (
        Principal(name="alice@EXAMPLE.COM", sid="S-1-5-21-1-2-3-999"),
        Principal(name="alice@EXAMPLE.COM", sid="nonsense"),
        Principal(name="alice@PARTNER.TEST", sid="S-1-5-21-1-2-3-1001"),
        Principal(name="host/alice@EXAMPLE.COM"),
        Principal(name="alice"),
        Principal(name="dave.dunn@EXAMPLE.COM"),
    ):
        with pytest.raises(Unauthorized):
            result_of(windows.account_of(principal))


@pytest.mark.requirement("R-CEG-127")
@pytest.mark.requirement("R-CEGI-030")
def test_each_forest_has_its_own_domain_controllers_and_account() -> None:
    """The silence of one forest is no matter to the users of another, whose name they give."""
    ours, theirs = World(), World()
    ours.entries["dc1.example.com"] = [*PARTITIONS, ALICE]
    bob = user("bob", 7, domain="DC=other,DC=test")
    configuration = "CN=Configuration,DC=other,DC=test"
    domain = cross_reference("other.test", "OTHER", "DC=other,DC=test").attributes
    theirs.entries["dc9.other.test"] = [
        Entry("", texts(configurationNamingContext=configuration)),
        Entry(f"CN=OTHER,CN=Partitions,{configuration}", domain),
        bob,
    ]
    ours.passwords[ALICE.dn] = theirs.passwords[bob.dn] = "right"
    other = forest(theirs, name="other.test", domain_controllers=["dc9.other.test"], ldap_port=1389)
    windows = directory(forest(ours), other)
    assert name_of(windows, "OTHER\\bob") == "OTHER\\bob"
    assert name_of(windows, "alice") == "EXAMPLE\\alice"
    assert {host for host, _ in theirs.dialled} == {"dc9.other.test:1389"}
    ours.away.add("dc1.example.com")
    windows = directory(forest(ours), other)
    assert name_of(windows, "other.test\\bob") == "OTHER\\bob"
    with pytest.raises(Unavailable):
        name_of(windows, "NOWHERE\\bob")


@pytest.mark.requirement("R-CEG-129")
@pytest.mark.requirement("R-CEG-131")
@pytest.mark.parametrize(
    ("settings", "ports"),
    [
        ({}, {"389", "3268"}),
        ({"ldaps": True}, {"636", "3269"}),
        ({"ldap_port": 1389, "global_catalog_port": 13268}, {"1389", "13268"}),
        ({"ldaps": True, "ldap_port": 1636}, {"1636", "3269"}),
    ],
)
def test_ports_and_named_domain_controllers(world: World, settings: dict[str, Any], ports: set[str]) -> None:
    resolver = Names(**NAMES)
    named = forest(world, resolver=resolver, domain_controllers=["dc1.example.com"], **settings)
    name_of(directory(named), "alice@example.com")
    assert {host.rpartition(":")[2] for host, _ in world.dialled} == ports
    assert not resolver.asked


def test_the_layout_and_the_templates_of_a_forest_are_kept_for_a_while(world: World) -> None:
    template = Entry(
        "CN=T,CN=Certificate Templates,CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com",
        texts(cn="T", msPKI__Cert__Template__OID="1.2.3"),
    )
    world.entries["dc1.example.com"].append(template)
    seconds = Seconds()
    windows = directory(forest(world, seconds=seconds))
    for _ in range(2):
        assert [each.name for each in result_of(windows.templates(domain="EXAMPLE"))] == ["T"]
    assert len(world.asked) == 3
    seconds.now += 301
    result_of(windows.templates(domain="EXAMPLE"))
    assert len(world.asked) == 6


def test_one_damaged_template_does_not_make_the_others_useless(world: World) -> None:
    where = "CN=Certificate Templates,CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com"
    for name, oid in (("Good", "1.2.3"), ("Bad", "none")):
        world.entries["dc1.example.com"].append(
            Entry(f"CN={name},{where}", texts(cn=name, msPKI__Cert__Template__OID=oid))
        )
    windows = directory(forest(world))
    assert [each.name for each in result_of(windows.templates(domain="EXAMPLE"))] == ["Good"]
    assert result_of(windows.template_by_name("GOOD", domain="example.com")).oid == "1.2.3"
    assert result_of(windows.template_by_oid("1.2.3", domain="example.com")).name == "Good"
    with pytest.raises(NotFound):
        result_of(windows.template_by_oid("1.2.3", domain="nowhere.test"))


FOREIGN = Search(base="DC=child,DC=example,DC=com", filter="(objectClass=*)", attributes=("cn",), scope=Scope.SUBTREE)


@pytest.mark.requirement("R-CEG-133")
@pytest.mark.requirement("R-CEGI-029")
@pytest.mark.parametrize(("allowed", "needed"), [(0, 0), (0, 1), (1, 1), (2, 3), (3, 3), (10, 10), (10, 11)])
def test_so_many_referrals_as_conf_allows(allowed: int, needed: int) -> None:
    world = World()
    hosts = [f"dc{number}.example.com" for number in range(needed + 1)]
    for host, following in pairwise(hosts):
        world.referrals[host] = [f"ldap://{following}/DC=child,DC=example,DC=com"]
    asked = forest(world, domain_controllers=[hosts[0]], max_referrals=allowed)
    if needed <= allowed:
        result_of(asked.search("example.com", FOREIGN))
        assert len(world.asked) == needed + 1
    else:
        with pytest.raises(Unavailable) as refused:
            result_of(asked.search("example.com", FOREIGN))
        assert "max_referrals" in refused.value.detail
        assert len(world.asked) == allowed + 1


@pytest.mark.parametrize(
    "url",
    [
        "ldap://evil.test/DC=x",
        "ldap://example.com.evil.test/",
        "ldap://evilexample.com/",
        "http://dc1.example.com/",
        "ldap:///DC=x",
        "",
        "ldap://[",
    ],
)
def test_the_account_that_reads_does_not_log_on_outside_of_its_forest(world: World, url: str) -> None:
    world.referrals["dc1.example.com"] = [url]
    with pytest.raises(Unavailable):
        result_of(forest(world).search("example.com", FOREIGN))
    assert {host for host, _ in world.dialled} == {"dc1.example.com:389"}


def test_a_referral_to_a_domain_goes_to_its_domain_controllers_with_the_base_that_it_names(world: World) -> None:
    asked = forest(world)
    result_of(asked.layout())
    world.referrals["dc1.example.com"] = [
        "ldap://evil.test/",
        "ldap://child.example.com/CN=A%20B,DC=child,DC=example,DC=com??sub",
    ]
    result_of(asked.search("example.com", FOREIGN))
    host, search = world.asked[-1]
    assert (host, search.base) == ("dc.child.example.com:389", "CN=A B,DC=child,DC=example,DC=com")


def test_authorities_are_told_apart_by_where_they_stand(world: World) -> None:
    container = "CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com"
    windows = directory(forest(world))
    assert result_of(windows.trusted_authorities(domain="EXAMPLE")) == TrustedAuthorities()
    for name, values in (
        (f"CN=A,CN=Certification Authorities,{container}", [b"root", b"another"]),
        (f"CN=B,CN=certification authorities,{container}", [b"third"]),
        (f"CN=A,CN=AIA,{container}", [b"issuing"]),
        (f"CN=NTAuthCertificates,{container}", [b"\0", b"logon"]),
        (f"CN=C,CN=KRA,{container}", [b"none of these"]),
    ):
        world.entries["dc1.example.com"].append(Entry(name, texts(cACertificate=list(values))))
    found = result_of(windows.trusted_authorities(domain="EXAMPLE"))
    assert found == TrustedAuthorities(logons=(b"logon",), roots=(b"root", b"another", b"third"), chains=(b"issuing",))
    with pytest.raises(NotFound):
        result_of(windows.trusted_authorities(domain="NOWHERE"))


def test_groups(world: World) -> None:
    group = Entry(
        "CN=Staff,CN=Users,DC=example,DC=com", texts(sAMAccountName="Staff", objectSid=encode_sid("S-1-5-21-1-2-3-9"))
    )
    world.entries["dc1.example.com"].append(group)
    windows = directory(forest(world))
    found = result_of(windows.security_group("EXAMPLE\\Staff"))
    assert (found.sid, found.domain) == ("S-1-5-21-1-2-3-9", "example.com")
    for name in ("Staff", "EXAMPLE\\Nobody", "NOWHERE\\Staff", "", "EXAMPLE\\*"):
        with pytest.raises(NotFound):
            result_of(windows.security_group(name))


def test_the_directory_as_a_password_check(windows: ActiveDirectory, world: World) -> None:
    check = DirectoryPasswords("staff", windows)
    assert isinstance(check, HasDirectory)
    assert isinstance(check, Stoppable)
    assert check.directory is windows
    for name in ("alice", "alice@example.com", "EXAMPLE\\alice"):
        assert result_of(check.check(name, "right")) == Identity("EXAMPLE\\alice", "staff")
    with pytest.raises(Unauthorized):
        result_of(check.check("alice", "wrong"))
    check.stop()
    assert world.open == 0


def test_stopping_ends_the_connections_that_wait(world: World) -> None:
    windows = directory(forest(world))
    name_of(windows, "alice")
    assert world.open
    windows.stop()
    assert world.open == 0


def test_who_reads_is_who_conf_says(windows: ActiveDirectory, world: World) -> None:
    name_of(windows, "alice")
    assert [credentials for _, credentials in world.dialled if credentials != READER] == [Simple(ALICE.dn, "right")]
