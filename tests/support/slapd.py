"""A real slapd with two people and a group, on loopback, with TLS by a certificate of the test."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import Process, accepts_connections, free_port, program, run, wait_until
from tests.unit.http.certificates import SERVER_AUTH, make

BASE = "dc=example,dc=com"
_CONF = """\
modulepath /usr/lib/ldap
moduleload back_mdb
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSCACertificateFile {folder}/ca.pem
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw admin
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""
_ENTRIES = """\
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: wonderland

dn: uid=bob,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
userPassword: builder

dn: cn=enrollers,dc=example,dc=com
objectClass: groupOfNames
cn: enrollers
member: uid=alice,ou=people,dc=example,dc=com
"""


class Slapd:
    """Runs while it is a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "slapd"
        (self.folder / "data").mkdir(parents=True)
        self.port, self.tls_port = free_port(), free_port()
        ca = make("directory CA", is_ca=True)
        server = make("localhost", ca, names=["localhost"], usage=SERVER_AUTH)
        (self.folder / "ca.pem").write_bytes(ca.pem)
        (self.folder / "server.pem").write_bytes(server.pem)
        (self.folder / "server.key").write_bytes(server.key_pem())
        (self.folder / "slapd.conf").write_text(_CONF.format(folder=self.folder))
        (self.folder / "entries.ldif").write_text(_ENTRIES)

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def __enter__(self) -> Self:
        conf = str(self.folder / "slapd.conf")
        run([program("slapadd"), "-f", conf, "-l", str(self.folder / "entries.ldif")])
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        self.process = Process([program("slapd"), "-d", "0", "-f", conf, "-h", urls], log=self.folder / "log")
        wait_until(lambda: accepts_connections(self.tls_port), what="slapd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()
