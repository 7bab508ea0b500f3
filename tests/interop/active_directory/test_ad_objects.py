"""The LDIF for an administrator, taken by a real domain controller with the tool of another project, and used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cspd.directory.security_descriptors import SecurityDescriptor
from cspd.directory.values import CertificateTemplate
from plugins.active_directory.directory import ActiveDirectory
from protocols.wstep.ad_templates import directory_template
from tests.interop.active_directory.asking import ask
from tests.interop.wstep_site import CA, client, directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.authorities import shipped_profiles
from tests.support.daemon import Daemon
from tests.support.processes import program, run, wait_until
from tests.support.samba_ad import ADMINISTRATOR_PASSWORD, SambaAD

pytestmark = pytest.mark.interop

SERVICES = "CN=Public Key Services,CN=Services,CN=Configuration,DC=cspd,DC=test"
ARC = "1.3.6.1.4.1.311.21.8.7654321.1234567.2345678.3456789.4567890.77"
GROUP = "CSPD\\WSTEP Access"
MAPPED = {"Badge": "wstep-digital-signature", "Host": "wstep-digital-signature-key-encipherment"}


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    service = {"enrollment_services": ["From cspctl"], "templates": MAPPED}
    folder = tmp_path_factory.mktemp("objects")
    with directory_daemon(folder, samba, keytab=None, service=service, cache="1s") as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def told(samba: SambaAD, *more: str, group: str = GROUP) -> tuple[str, ...]:
    names = ("--name", "From cspctl", "--template", "User", "--template", "Badge")
    templates = ("--new-templates", "--machine", "Host", "--template-oid-arc", ARC)
    return ("wstep", "ad-objects", CA, "--forest", samba.domain, *names, *templates, "--group", group, *more)


def problems(daemon: Daemon, samba: SambaAD, **which: str) -> list[str]:
    answer = daemon.cspctl("--json", *told(samba, "--check", **which), expect=None)
    found = [each["problem"] for each in json.loads(answer.stdout)]
    assert answer.returncode == (1 if found else 0)
    return found


class Administrator:
    """Changes the domain that other tests use too, and takes back what was made."""

    def __init__(self, samba: SambaAD, folder: Path) -> None:
        self._who = ("-x", "-H", f"ldaps://{samba.address}", "-D", f"Administrator@{samba.domain}")
        self._password = ("-w", ADMINISTRATOR_PASSWORD)
        self._trust = {"LDAPTLS_CACERT": str(samba.ca_file)}
        self._file = folder / "objects.ldif"
        self._made: list[str] = []

    def add_container(self, name: str) -> None:
        """Some Sambas have it."""
        self._file.write_text(f"dn: CN={name},{SERVICES}\nchangetype: add\nobjectClass: container\n")
        self._run("ldapmodify", "-f", str(self._file), expect=None)

    def add(self, ldif: str) -> None:
        self._file.write_text(ldif)
        self._run("ldapmodify", "-f", str(self._file))
        self._made += re.findall("^dn: (.+)$", ldif.replace("\n ", ""), re.MULTILINE)

    def undo(self) -> None:
        if self._made:
            self._run("ldapdelete", *self._made)

    def _run(self, tool: str, *arguments: str, expect: int | None = 0) -> None:
        run([program(tool), *self._who, *self._password, *arguments], environment=self._trust, expect=expect)


@pytest.fixture
def administrator(samba: SambaAD, tmp_path: Path) -> Iterator[Administrator]:
    administrator = Administrator(samba, tmp_path)
    yield administrator
    administrator.undo()


@pytest.mark.requirement("R-CEG-167")
def test_objects_that_are_made_are_found_and_enroll(
    daemon: Daemon, samba: SambaAD, administrator: Administrator, key: rsa.RSAPrivateKey
) -> None:
    before = problems(daemon, samba)
    for missing in (
        "there is no enrollment service 'From cspctl'",
        "there is no certificate template Badge",
        "there is no certificate template Host",
        "there is no NTAuthCertificates",
        "AIA lacks the certificate of the CA",
    ):
        assert missing in before
    assert any(each.startswith("the trusted roots lack") for each in before)
    for name in ("Certification Authorities", "AIA", "OID"):
        administrator.add_container(name)
    administrator.add(daemon.cspctl_json(*told(samba, "--new-nt-auth"))["ldif"])
    wait_until(lambda: problems(daemon, samba) == [], what="the objects in the directory", seconds=120)

    async def read(directory: ActiveDirectory) -> list[CertificateTemplate]:
        return [await directory.template_by_name(name, domain=samba.domain) for name in MAPPED]

    found = ask(samba.settings(), read)
    shall = [
        directory_template(name, shipped_profiles()[profile], for_machines=name == "Host", arc=ARC)
        for name, profile in MAPPED.items()
    ]
    assert [_comparable(each) for each in found] == [_comparable(each) for each in shall]

    badge = requests.pkcs10(key, requests.template_by_oid(shall[0].oid))
    host = requests.pkcs10(key, requests.template_by_oid(shall[1].oid))
    alice = client(daemon, "alice").enroll(badge).certificate
    assert _common_name(alice) == "Alice Adams"
    assert _common_name(client(daemon, "CSPD\\WS1$").enroll(host).certificate) == "ws1.cspd.test"
    assert client(daemon, "bob").refused(badge).error_code == 0x80094012  # not in the group


def _comparable(template: CertificateTemplate) -> CertificateTemplate:
    """Without its security, and values in an order that a directory does not keep."""
    return replace(
        template,
        security=SecurityDescriptor(()),
        extended_key_usage=tuple(sorted(template.extended_key_usage)),
        application_policies=tuple(sorted(template.application_policies)),
    )


def _common_name(certificate: x509.Certificate) -> str:
    (found,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found.value)


@pytest.mark.requirement("R-CEG-165")
def test_groups_by_all_forms_of_their_names(daemon: Daemon, samba: SambaAD) -> None:
    def complaints(group: str) -> list[str]:
        return [each for each in problems(daemon, samba, group=group) if "no security group" in each]

    for name in (GROUP, "cspd.test\\WSTEP Access", "WSTEP Access@CSPD", "WSTEP Access@cspd.test"):
        assert complaints(name) == []
    for name in ("CSPD\\Letters", "CSPD\\alice", "CSPD\\Nobody"):  # of distribution, a user, none
        assert len(complaints(name)) == 1
