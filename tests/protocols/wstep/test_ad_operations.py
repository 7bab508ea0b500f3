from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.admin.operations.values import Caller, NoArguments
from cspd.authority.values import CAReference
from cspd.directory.security_descriptors import encode_enrollers
from cspd.directory.values import CertificateTemplate, EnrollmentService, Group, NameFlag, TrustedAuthorities
from cspd.refusals import Conflict, Malformed, NotFound, Unavailable
from protocols.wstep.ad_operations import DirectoryOperations, WhichService
from protocols.wstep.ad_templates import directory_template
from protocols.wstep.enrollment_servers import encode_enrollment_server, servers_at
from tests.protocols.wstep.accounts import STAFF, granted, template
from tests.protocols.wstep.world import configuration
from tests.support.authorities import Installation, shipped_profiles
from tests.support.running import result_of

PUBLIC = "https://ca.example.com:8443"
ROOT = Caller("root")


@dataclass
class Forest:
    """Implements the part of :class:`cspd.directory.interfaces.Directory` that is compared with."""

    name: str = "example.com"
    services: Sequence[EnrollmentService] = ()
    known: Sequence[CertificateTemplate] = field(
        default_factory=lambda: [template(name="User"), template(name="WSTEPUser")]
    )
    is_silent: bool = False
    trusted: TrustedAuthorities = field(default_factory=TrustedAuthorities)

    async def enrollment_services(self, *, domain: str) -> Sequence[EnrollmentService]:
        if self.is_silent:
            raise Unavailable("no domain controller answers")
        if domain != self.name:
            raise NotFound("no such domain")
        return self.services

    async def templates(self, *, domain: str) -> Sequence[CertificateTemplate]:
        return self.known

    async def trusted_authorities(self, *, domain: str) -> TrustedAuthorities:
        return self.trusted

    async def security_group(self, name: str) -> Group:
        if name != "EXAMPLE\\Staff":
            raise NotFound(f"no security group is called {name!r}")
        return Group(domain=self.name, account_name="Staff", distinguished_name="CN=Staff", sid=STAFF)


class Tools:
    """The operations on an installation with one CA."""

    def __init__(
        self, *directories: Any, tenants: Sequence[str] = ("demo",), renewal: bool = False, **service: Any
    ) -> None:
        self.house = Installation()
        self.house.make_hierarchy(profiles=("wstep-digital-signature",))
        self.operations = DirectoryOperations(
            configuration(certificate_renewal=renewal, **service).terms(),
            authorities=self.house.registry,
            profiles=shipped_profiles(),
            directories=directories,
            tenants=frozenset(tenants),
            public_https=PUBLIC,
            kerberos=True,
        )
        self.ca = result_of(self.house.registry.get(CAReference("demo", "issuing")))

    def ldif(self, **told: Any) -> str:
        return str(result_of(self.operations.ad_objects(self.which(**told), ROOT))["ldif"])

    def problems(self, **told: Any) -> Any:
        return result_of(self.operations.ad_check(self.which(**told), ROOT))["problems"]

    def which(self, **told: Any) -> WhichService:
        return WhichService.model_validate({"ca": "demo~issuing", "forest": "example.com", "name": "CSPD", **told})

    def as_it_shall_be(self) -> EnrollmentService:
        servers = servers_at(PUBLIC, "demo", "demo~issuing", kerberos=True)
        return EnrollmentService(
            name="CSPD",
            dns_host_name="ca.example.com",
            certificate_templates=frozenset({"User", "WSTEPUser"}),
            enrollment_servers=tuple(map(encode_enrollment_server, servers)),
            ca_certificates_der=(self.ca.certificate_der or b"",),
            security=granted(STAFF),
        )

    def trusted(self) -> TrustedAuthorities:
        own = (self.ca.certificate_der or b"",)
        return TrustedAuthorities(logons=own, roots=tuple(self.ca.chain_der[-1:]), chains=own)


@pytest.mark.requirement("R-CEGI-044")
@pytest.mark.requirement("R-CEG-147")
def test_urls_of_each_ca() -> None:
    tools = Tools()
    rows = result_of(tools.operations.servers(NoArguments(), ROOT))
    assert [(row["authentication"], row["value"]) for row in rows] == [
        ("user name", f"1\n4\n0\n{PUBLIC}/wstep/usertoken/services/demo/demo~issuing\n0"),
        ("kerberos", f"1\n2\n0\n{PUBLIC}/wstep/kerberos/services/demo/demo~issuing\n0"),
    ]
    assert all(row["ca_certificate"].startswith("-----BEGIN CERTIFICATE-----") for row in rows)


def test_where_certificates_renew() -> None:
    rows = result_of(Tools(renewal=True).operations.servers(NoArguments(), ROOT))
    assert (rows[-1]["authentication"], rows[-1]["value"]) == (
        "certificate",
        f"1\n8\n1\n{PUBLIC}/wstep/certificate/services/demo/demo~issuing\n0",
    )
    assert f"{PUBLIC}/wstep/certificate/services/demo/demo~issuing" in _values(Tools(renewal=True).ldif())


def _values(ldif: str) -> str:
    """The values in base64, read."""
    lines = ldif.replace("\n ", "").splitlines()
    return "\n".join(
        base64.b64decode(line.partition(":: ")[2]).decode() for line in lines if line.startswith("msPKI-Enrollment")
    )


@pytest.mark.requirement("R-CEGI-044")
@pytest.mark.requirement("R-CEG-167")
def test_the_ldif_of_a_ca() -> None:
    tools = Tools()
    ldif = tools.ldif()
    unfolded = ldif.replace("\n ", "")
    services = "CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com"
    assert f"dn: CN=CSPD,CN=Enrollment Services,{services}" in unfolded
    assert "dNSHostName: ca.example.com" in unfolded
    assert "certificateTemplates: User\ncertificateTemplates: WSTEPUser\n" in unfolded
    assert f"dn: CN=NTAuthCertificates,{services}\nchangetype: modify" in unfolded
    new = tools.ldif(has_nt_auth=False, templates=["Badge"], host="pki.example.com").replace("\n ", "")
    assert f"dn: CN=NTAuthCertificates,{services}\nchangetype: add" in new
    assert "certificateTemplates: Badge\n" in new
    assert "dNSHostName: pki.example.com" in new


@pytest.mark.requirement("R-CEG-163")
@pytest.mark.requirement("R-CEG-164")
def test_names_are_checked() -> None:
    tools = Tools(
        Forest(services=[EnrollmentService(name="cspd", dns_host_name="", certificate_templates=frozenset())])
    )
    with pytest.raises(Conflict):
        tools.ldif()
    tools.ldif(name="Other")
    with pytest.raises(Malformed):
        tools.ldif(name="-x")
    with pytest.raises(Malformed):
        tools.ldif(name="Other", templates=["two words"])


def test_the_check() -> None:
    forest = Forest()
    tools = Tools(Forest("other.example"), forest)
    forest.trusted = tools.trusted()
    there = tools.as_it_shall_be()
    both = forest.known
    for services, known, expected in (
        ([there], both, []),
        ([], both, ["there is no enrollment service 'CSPD'"]),
        ([there], [template(name="User")], ["there is no certificate template WSTEPUser"]),
        ([replace(there, dns_host_name="x")], both, ["dNSHostName is 'x', not 'ca.example.com'"]),
    ):
        forest.services, forest.known = services, known
        assert tools.problems() == expected


def test_the_check_of_what_is_trusted() -> None:
    forest = Forest()
    tools = Tools(forest)
    forest.services = [tools.as_it_shall_be()]
    right = tools.trusted()
    for trusted, expected in (
        (right, []),
        (replace(right, logons=None), ["there is no NTAuthCertificates"]),
        (replace(right, logons=(b"another",)), ["NTAuthCertificates lacks the certificate of the CA"]),
        (replace(right, roots=right.chains), ["the trusted roots lack root of demo"]),
        (replace(right, chains=()), ["AIA lacks the certificate of the CA"]),
    ):
        forest.trusted = trusted
        assert tools.problems() == expected


MAPPED = {"templates": {"Badge": "wstep-digital-signature", "Host": "wstep-digital-signature-key-encipherment"}}
MADE: Any = {"new_templates": True, "machines": ["host"], "templates": ["WSTEPUser"]}


def test_templates_of_conf_are_made() -> None:
    tools = Tools(Forest(), **MAPPED)
    ldif = tools.ldif(**MADE, template_oid_arc="1.3.6.1.4.1.311.21.8.1.2.3.4.5.6").replace("\n ", "")
    container = "CN=Certificate Templates,CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com"
    badge, host = (ldif.index(f"dn: CN={name},{container}") for name in ("Badge", "Host"))
    assert badge < host < ldif.index("CN=Enrollment Services")  # the service comes behind what it lists
    assert "\nflags: 131616\n" in ldif[badge:host]
    assert "\nflags: 131680\n" in ldif[host:]
    assert ldif.count("msPKI-Cert-Template-OID: 1.3.6.1.4.1.311.21.8.1.2.3.4.5.6.") == 4
    assert "certificateTemplates: WSTEPUser\ncertificateTemplates: Badge\ncertificateTemplates: Host\n" in ldif
    assert "nTSecurityDescriptor" not in ldif
    assert "CN=Badge" not in tools.ldif()
    with pytest.raises(Malformed, match="arc"):
        tools.ldif(**MADE, template_oid_arc="1.3.x")
    with pytest.raises(NotFound, match="nobody"):
        tools.ldif(**{**MADE, "machines": ["nobody"]})
    with pytest.raises(Conflict, match="Badge"):
        Tools(Forest(known=[template(name="badge")]), **MAPPED).ldif(**MADE)
    with pytest.raises(NotFound, match="no profile"):
        Tools(templates={"Host": "gone"}).ldif(**MADE)
    assert "CN=Badge" in Tools(**MAPPED).ldif(**MADE)  # no directory knows the forest


def test_the_check_of_templates() -> None:
    forest = Forest()
    tools = Tools(forest, **MAPPED)
    profiles = shipped_profiles()
    badge = directory_template("Badge", profiles["wstep-digital-signature"], for_machines=False)
    host = directory_template("Host", profiles["wstep-digital-signature-key-encipherment"], for_machines=True)
    badge, host = (replace(each, security=granted(STAFF)) for each in (badge, host))
    needed = template(name="WSTEPUser")
    names = frozenset({"Badge", "Host", "WSTEPUser"})
    forest.services = [replace(tools.as_it_shall_be(), certificate_templates=names)]
    forest.trusted = tools.trusted()
    for known, expected in (
        ([badge, host, needed], []),
        ([badge, needed], ["there is no certificate template Host"]),
        (
            [replace(badge, name_flags=NameFlag.ENROLLEE_SUPPLIES_SUBJECT), host, needed],
            ["certificate template Badge: msPKI-Certificate-Name-Flag is 0x1, not 0x42000000"],
        ),
        (
            [badge, host, replace(needed, ra_signatures=1)],
            [
                (
                    "the certificate template WSTEPUser asks for signatures of others: "
                    "enrollment on behalf of somebody, which is not supported"
                )
            ],
        ),
    ):
        forest.known = known
        assert tools.problems(**MADE) == expected


@pytest.mark.requirement("R-CEG-165")
def test_the_group_that_may_enroll() -> None:
    forest = Forest()
    tools = Tools(forest, **MAPPED)
    for name in ("EXAMPLE\\Letters", "Staff"):
        with pytest.raises(NotFound):
            tools.ldif(**MADE, group=name)
    with pytest.raises(NotFound):
        Tools().ldif(group="EXAMPLE\\Staff")
    told = {**MADE, "group": "EXAMPLE\\Staff"}
    unfolded = tools.ldif(**told).replace("\n ", "")
    assert unfolded.count("nTSecurityDescriptor:: " + base64.b64encode(encode_enrollers(STAFF)).decode()) == 3
    forest.services = [replace(tools.as_it_shall_be(), security=granted("S-1-5-21-9"))]
    forest.known = [template(name="Badge", security=granted("S-1-5-21-9")), template(name="Host")]
    problems = tools.problems(**told)
    assert "Staff may not enroll at CSPD" in problems
    assert "Staff may not enroll by the certificate template Badge" in problems
    assert "Staff may not enroll by the certificate template Host" not in problems
    forest.services = [tools.as_it_shall_be()]
    assert "Staff may not enroll at CSPD" not in tools.problems(**told)
    assert "no security group is called 'EXAMPLE\\\\Letters'" in tools.problems(group="EXAMPLE\\Letters")


def test_forests_that_cannot_be_asked() -> None:
    with pytest.raises(NotFound):
        Tools().problems()
    with pytest.raises(NotFound):
        Tools(Forest("other.example")).problems()
    with pytest.raises(Unavailable):
        Tools(Forest("other.example"), Forest(is_silent=True)).problems()
    with pytest.raises(Unavailable):  # whether its name is taken is not known
        Tools(Forest(is_silent=True)).ldif()


def test_what_there_is_not() -> None:
    tools = Tools(tenants=("demo", "other"))
    with pytest.raises(NotFound, match="demo, other"):
        tools.ldif()
    with pytest.raises(NotFound):
        tools.ldif(tenant="nobody")
    assert tools.ldif(tenant="other") != tools.ldif(tenant="demo")
    with pytest.raises(NotFound, match="no \\[\\["):
        tools.ldif(tenant="demo", ca="demo~root")


@pytest.mark.parametrize("forest", ["", "example", "a..b", "exa mple.com", "a,DC=b.c", "-" * 64 + ".de"])
def test_names_of_forests(forest: str) -> None:
    with pytest.raises(ValidationError):
        WhichService(ca="demo~issuing", forest=forest)
