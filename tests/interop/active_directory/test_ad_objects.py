"""The LDIF for an administrator, taken by a real domain controller with the tool of another project."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.active_directory.directory import ActiveDirectory
from protocols.wstep.ad_objects import differences, service_objects, to_ldif
from protocols.wstep.enrollment_servers import enrollment_servers
from tests.interop.active_directory.asking import ask
from tests.support.processes import program, run
from tests.support.samba_ad import ADMINISTRATOR_PASSWORD, SambaAD
from tests.unit.http.certificates import make

pytestmark = pytest.mark.interop


def test_the_entries_that_are_made_are_those_that_shall_be_there(samba: SambaAD, tmp_path: Path) -> None:
    root = make("Interop Root, Ltd", is_ca=True)
    issuing = make("Interop Issuing", root, is_ca=True)
    objects = service_objects(
        configuration="CN=Configuration,DC=cspd,DC=test",
        name="Interop WSTEP",
        dns_host_name=samba.service,
        servers=enrollment_servers(samba.service, "tenant1", "demo~issuing", kerberos=True),
        ca_certificate_der=issuing.der,
        chain_der=[root.der],
    )

    async def what_differs(directory: ActiveDirectory) -> list[str]:
        return differences(objects, await directory.enrollment_services(domain="CSPD"))

    assert ask(samba.settings(), what_differs) == ["there is no enrollment service 'Interop WSTEP'"]
    services = "CN=Public Key Services,CN=Services,CN=Configuration,DC=cspd,DC=test"
    containers = "".join(
        f"dn: CN={name},{services}\nchangetype: add\nobjectClass: container\n\n"
        for name in ("Certification Authorities", "AIA")
    )
    file = tmp_path / "objects.ldif"
    url = f"ldaps://{samba.address}"
    who = ["-x", "-H", url, "-D", f"Administrator@{samba.domain}", "-w", ADMINISTRATOR_PASSWORD]
    trust = {"LDAPTLS_CACERT": str(samba.ca_file)}
    file.write_text(containers)
    run([program("ldapmodify"), "-c", *who, "-f", file], environment=trust, expect=None)  # some Sambas have them
    file.write_text(to_ldif(objects, has_nt_auth=False))
    run([program("ldapmodify"), *who, "-f", file], environment=trust)
    assert ask(samba.settings(), what_differs) == []
