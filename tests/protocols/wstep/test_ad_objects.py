from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.values import EnrollmentService
from cspd.refusals import Conflict, Malformed
from protocols.wstep.ad_objects import differences, service_objects, to_ldif
from protocols.wstep.enrollment_servers import (
    EnrollmentServer,
    ServerAuthentication,
    decode_enrollment_server,
    encode_enrollment_server,
    enrollment_servers,
)
from tests.unit.http.certificates import make

ROOT = make("Example Root, Ltd", is_ca=True)
ISSUING = make("Example Issuing", ROOT, is_ca=True)
SERVERS = enrollment_servers("ca.example.com", "tenant1", "demo~issuing", kerberos=True)
CONFIGURATION = "CN=Configuration,DC=example,DC=com"
TOLD = {
    "configuration": CONFIGURATION,
    "name": "CSPD WSTEP",
    "dns_host_name": "ca.example.com",
    "servers": SERVERS,
    "ca_certificate_der": ISSUING.der,
    "chain_der": [ROOT.der],
}


def objects(**more: Any) -> Any:
    return service_objects(**{**TOLD, **more})


@pytest.mark.requirement("R-CEG-162")
def test_urls_are_written_as_the_directory_has_them() -> None:
    by_name, by_kerberos = map(encode_enrollment_server, SERVERS)
    assert by_name == "1\n4\n0\nhttps://ca.example.com:443/wstep/usertoken/services/tenant1/demo~issuing\n0"
    assert by_kerberos == "1\n2\n0\nhttps://ca.example.com:443/wstep/kerberos/services/tenant1/demo~issuing\n0"
    renewal = EnrollmentServer(
        url="https://a/", authentication=ServerAuthentication.KERBEROS, priority=7, renewal_only=True
    )
    assert encode_enrollment_server(renewal) == "7\n2\n1\nhttps://a/\n0"
    assert len(enrollment_servers("ca.example.com", "t", "c", kerberos=False)) == 1


@given(
    st.sampled_from(ServerAuthentication),
    st.integers(0, (1 << 31) - 1),
    st.booleans(),
    st.sampled_from(["", "\n", "\r\n"]),
)
def test_urls_are_read_as_they_are_written(way: ServerAuthentication, priority: int, renewal: bool, end: str) -> None:
    server = EnrollmentServer(url="https://a.b/c", authentication=way, priority=priority, renewal_only=renewal)
    written = encode_enrollment_server(server)
    assert decode_enrollment_server(written + end) == server
    assert decode_enrollment_server(written.removesuffix("\n0") + end) == server
    assert decode_enrollment_server(written.replace("\n", "\r\n")) == server


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1\n4\n0",
        "1\n4\n0\nhttp://a/\n0",
        "1\n3\n0\nhttps://a/",
        "1\n4\n2\nhttps://a/",
        "1\n4\n-1\nhttps://a/",
        "x\n4\n0\nhttps://a/",
        "-1\n4\n0\nhttps://a/",
        "1\n4\n0\nhttps://a/\n2",
        "1\n4\n0\nhttps://a b/",
    ],
)
def test_what_is_no_url_of_the_directory(value: str) -> None:
    with pytest.raises(Malformed):
        decode_enrollment_server(value)


@pytest.mark.requirement("R-CEG-163")
def test_names_of_services() -> None:
    for name in ("CSPD", "9 lives", "a-b_c D"):
        assert objects(name=name).name == name
    for name in ("", " a", "-a", "_a", "a.b", "a,b", "a\n", "ä", "a" * 65):
        with pytest.raises(Malformed):
            objects(name=name)
    there = EnrollmentService(name="cspd wstep", dns_host_name="x", certificate_templates=frozenset())
    with pytest.raises(Conflict):
        objects(existing=[there])


@pytest.mark.requirement("R-CEG-164")
@pytest.mark.requirement("R-CEG-167")
def test_templates() -> None:
    assert objects().templates == ("User", "WSTEPUser")
    assert objects(templates=["WSTEPMachine", "WSTEPUser"]).templates == ("WSTEPMachine", "WSTEPUser")
    for name in ("a b", "", "a\n", " "):
        with pytest.raises(Malformed):
            objects(templates=[name])


@pytest.mark.requirement("R-CEG-166")
def test_the_certificate_is_der() -> None:
    for damaged in (ISSUING.pem, b"", ISSUING.der[:-1], ISSUING.der + b"\0"):
        with pytest.raises(Malformed, match="DER"):
            objects(ca_certificate_der=damaged)
        with pytest.raises(Malformed, match="DER"):
            objects(chain_der=[damaged])


def records(ldif: str) -> list[dict[str, list[str | bytes]]]:
    """LDIF, read by other rules than it is written: unfold, then split."""
    found = []
    for block in ldif.replace("\n ", "").split("\n\n"):
        record: dict[str, list[str | bytes]] = {}
        for line in block.strip().splitlines():
            name, _, value = line.partition(":")
            encoded = value.startswith(": ")
            record.setdefault(name, []).append(base64.b64decode(value[2:]) if encoded else value[1:])
        found.append(record)
    return found


def test_the_entries() -> None:
    services = "CN=Public Key Services,CN=Services," + CONFIGURATION
    ldif = to_ldif(objects())
    assert all(len(line) <= 76 for line in ldif.splitlines())
    version, service, root, aia, nt_auth = records(ldif)
    assert version == {"version": ["1"]}
    assert service["dn"] == [f"CN=CSPD WSTEP,CN=Enrollment Services,{services}"]
    assert service["certificateTemplates"] == ["User", "WSTEPUser"]
    assert service["msPKI-Enrollment-Servers"] == [encode_enrollment_server(each).encode() for each in SERVERS]
    assert service["cACertificate"] == aia["cACertificate"] == nt_auth["cACertificate"] == [ISSUING.der]
    assert root["dn"] == [f"CN=Example Root\\, Ltd,CN=Certification Authorities,{services}"]
    assert root["cACertificate"] == [ROOT.der]
    assert nt_auth["dn"] == [f"CN=NTAuthCertificates,{services}"]
    assert (nt_auth["changetype"], nt_auth["add"]) == (["modify"], ["cACertificate"])
    assert records(to_ldif(objects(), has_nt_auth=False))[-1]["objectClass"] == ["certificationAuthority"]


@pytest.mark.requirement("R-CEG-167")
def test_what_is_not_as_it_shall_be() -> None:
    told = objects()
    there = EnrollmentService(
        name="cspd wstep",
        dns_host_name="CA.example.com",
        certificate_templates=frozenset({"User", "WSTEPUser", "Other"}),
        enrollment_servers=tuple(map(encode_enrollment_server, SERVERS)),
        ca_certificates_der=(ROOT.der, ISSUING.der),
    )
    assert differences(told, [there]) == []
    assert differences(told, []) == ["there is no enrollment service 'CSPD WSTEP'"]
    for change, problem in (
        ({"dns_host_name": "x"}, "dNSHostName is 'x', not 'ca.example.com'"),
        ({"certificate_templates": frozenset({"User"})}, "certificateTemplates lacks WSTEPUser"),
        ({"ca_certificates_der": (ROOT.der,)}, "cACertificate is not the certificate of the CA"),
        (
            {"enrollment_servers": (encode_enrollment_server(SERVERS[0]),)},
            f"msPKI-Enrollment-Servers lacks {SERVERS[1].url}",
        ),
    ):
        assert differences(told, [replace(there, **change)]) == [problem]
    damaged = replace(there, enrollment_servers=(*there.enrollment_servers, "nonsense"))
    (problem,) = differences(told, [damaged])
    assert "cannot be read" in problem


def test_a_url_that_only_renews_has_to_be_registered_as_one() -> None:
    servers = enrollment_servers("ca.example.com", "tenant1", "demo~issuing", kerberos=False, certificate_renewal=True)
    told = service_objects(**{**TOLD, "servers": servers})
    there = EnrollmentService(
        name=told.name,
        dns_host_name=told.dns_host_name,
        certificate_templates=frozenset(told.templates),
        ca_certificates_der=(ISSUING.der,),
        enrollment_servers=tuple(encode_enrollment_server(replace(each, renewal_only=True)) for each in servers),
    )
    assert differences(told, [there]) == []
    for_all = replace(
        there, enrollment_servers=tuple(each.replace("\n1\n", "\n0\n") for each in there.enrollment_servers)
    )
    assert differences(told, [for_all]) == [f"msPKI-Enrollment-Servers lacks {servers[1].url}"]
