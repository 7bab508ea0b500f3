"""A domain of Active Directory on a loopback address of its own: one Samba process in a private folder.

Nothing of the machine is changed: the domain's names are known to the domain's own DNS and to its krb5.conf alone. The
ports are those of Active Directory, on an address that nobody else uses; so it needs root.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from tests.support.processes import Process, program, run, wait_until
from tests.unit.http.certificates import SERVER_AUTH, make

SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that has the samba module."""
PASSWORD = "Us3r.Passw0rd"
ADMINISTRATOR_PASSWORD = "Adm1n.Passw0rd"
TRUSTSTORE_PASSWORD = b"truststore"

_POPULATE = str(Path(__file__).with_name("samba_populate.py"))
_SMB_CONF = """\
[global]
    netbios name = {host_upper}
    realm = {realm}
    workgroup = {netbios}
    server role = active directory domain controller
    interfaces = {address}/8
    bind interfaces only = yes
    server services = ldap, cldap, kdc, dns, rpc
    dcerpc endpoint servers = epmapper, samr, lsarpc, netlogon, drsuapi, dnsserver
    dns forwarder =
    allow dns updates = disabled
    private dir = {folder}/private
    lock directory = {folder}/run
    state directory = {folder}/state
    cache directory = {folder}/cache
    binddns dir = {folder}/bind-dns
    pid directory = {folder}/run
    ncalrpc dir = {folder}/run/ncalrpc
    log file = {folder}/log/samba.log
    logging = file
    max log size = 0
    tls enabled = yes
    tls keyfile = {folder}/tls/dc-key.pem
    tls certfile = {folder}/tls/dc.pem
    tls cafile = {folder}/tls/ca.pem
    ldap server require strong auth = allow_sasl_over_tls
[sysvol]
    path = {folder}/state/sysvol
    read only = no
[netlogon]
    path = {folder}/state/sysvol/{domain}/scripts
    read only = no
"""


class SambaAD:
    """Runs while it is a context; made once, it starts again in a second."""

    def __init__(self, domain: str = "cspd.test", netbios: str = "CSPD", host: str = "dc1") -> None:
        if os.geteuid() != 0:
            pytest.skip("a domain controller has ports below 1024: run as root")
        self.domain, self.netbios, self.host = domain, netbios, host
        # Not a folder of pytest: the names of Unix sockets are short.
        self.folder = Path(tempfile.mkdtemp(prefix="cspd-ad-"))
        self.address = _free_address()
        self.sid = ""
        self._trusted: list[SambaAD] = []
        self._process: Process | None = None

    @property
    def realm(self) -> str:
        return self.domain.upper()

    @property
    def controller(self) -> str:
        """The DNS name of the domain controller."""
        return f"{self.host}.{self.domain}"

    @property
    def service(self) -> str:
        """The host of the HTTP service whose keys are in :attr:`keytab`."""
        return f"ca.{self.domain}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls/ca.pem"

    @property
    def truststore(self) -> Path:
        return self.folder / "tls/trust.p12"

    def keytab(self, name: str = "http") -> Path:
        """``http``, ``other`` and ``rc4`` are services, ``ws1`` is the machine, ``svc-cspd`` an account."""
        return self.folder / f"{name}.keytab"

    @property
    def krb5_conf(self) -> Path:
        return self.folder / "etc/krb5.conf"

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of the connector, without its list of domains."""
        return {"domains": [self.domain_settings()], **more}

    def domain_settings(self, **more: Any) -> dict[str, Any]:
        """One of ``[[domains]]``."""
        return {
            "name": self.domain,
            "dns_servers": [f"{self.address}:53"],
            "ldaps": True,
            "ca_file": str(self.ca_file),
            "user": f"svc-ldap@{self.domain}",
            "password": {"env": "LDAP_PASSWORD"},
            **more,
        }

    def __enter__(self) -> Self:
        for name in ("samba", "samba-tool", "kinit"):
            program(name)
        try:
            self._provision()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop, and delete the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Run the domain controller until it answers."""
        self._process = Process(
            [program("samba"), "-F", "--no-process-group", "-M", "single", "-s", str(self.folder / "etc/smb.conf")],
            log=self.folder / "log/samba.out",
        )
        wait_until(lambda: self._accepts(636) and self._gives_tickets(), what="samba", seconds=120)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, with its connections as they are; :meth:`resume` ends that."""
        assert self._process is not None
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send(signal.SIGCONT)

    def sid_of(self, account: str) -> str:
        """The SID of an account, as the domain's own tools tell it."""
        kind = "computer" if account.endswith("$") else "user"
        command = [program("samba-tool"), kind, "show", account, "--attributes=objectSid"]
        shown = run([*command, "-s", self.folder / "etc/smb.conf", "-H", self.folder / "private/sam.ldb"])
        return next(line.split()[1] for line in shown.stdout.splitlines() if line.startswith("objectSid:"))

    def trust(self, other: SambaAD) -> None:
        """Trust another forest and be trusted by it; both start anew."""
        for trusting, trusted in ((self, other), (other, self)):
            trusting.stop()
            run([SYSTEM_PYTHON, _POPULATE, "trust", trusting.folder, trusted.folder])
            trusting._trusted.append(trusted)
            trusting._write_krb5_conf()
        self.start()
        other.start()

    def kinit(self, account: str, cache: Path, *, keytab: str | None = None) -> Mapping[str, str]:
        """Log an account on; gives the environment in which its tickets are found."""
        environment = {"KRB5_CONFIG": str(self.krb5_conf), "KRB5CCNAME": f"FILE:{cache}"}
        how = [] if keytab is None else ["-k", "-t", self.keytab(keytab)]
        given = None if keytab is not None else PASSWORD + "\n"
        run([program("kinit"), *how, f"{account}@{self.realm}"], environment=environment, given=given)
        return environment

    def _accepts(self, port: int) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex((self.address, port)) == 0

    def _gives_tickets(self) -> bool:
        environment = {"KRB5_CONFIG": str(self.krb5_conf), "KRB5CCNAME": "MEMORY:"}
        command = [program("kinit"), "-k", "-t", self.keytab("ws1"), f"WS1$@{self.realm}"]
        return run(command, environment=environment, expect=None).returncode == 0

    def _provision(self) -> None:
        for name in ("etc", "run/ncalrpc", "cache", "tls", "log"):
            (self.folder / name).mkdir(parents=True)
        smb_conf = _SMB_CONF.format(
            host_upper=self.host.upper(),
            realm=self.realm,
            netbios=self.netbios,
            address=self.address,
            folder=self.folder,
            domain=self.domain,
        )
        (self.folder / "etc/smb.conf").write_text(smb_conf)
        (self.folder / "etc/empty.conf").write_text("[global]\n")
        self._write_krb5_conf()
        self._write_certificates()
        provisioned = self.folder / "prov"
        command = [program("samba-tool"), "domain", "provision", "-q", "-s", self.folder / "etc/empty.conf"]
        command += [f"--targetdir={provisioned}", f"--realm={self.realm}", f"--domain={self.netbios}"]
        command += [f"--host-name={self.host}", f"--host-ip={self.address}", "--server-role=dc"]
        command += [f"--adminpass={ADMINISTRATOR_PASSWORD}", "--dns-backend=SAMBA_INTERNAL"]
        command += [f"--option=interfaces={self.address}/8", "--option=bind interfaces only=yes"]
        run(command, seconds=240)
        for name in ("private", "state", "bind-dns"):
            if (provisioned / name).exists():
                (provisioned / name).rename(self.folder / name)
        settings = {
            "domain": self.domain,
            "host": self.host,
            "service": self.service,
            "password": PASSWORD,
            "ca_der": str(self.folder / "tls/ca.der"),
        }
        filled = run([SYSTEM_PYTHON, _POPULATE, "domain", self.folder, json.dumps(settings)], seconds=240)
        self.sid = filled.stdout.strip().splitlines()[-1]

    def _write_krb5_conf(self) -> None:
        known = [self, *self._trusted]
        realms = "".join(f"    {each.realm} = {{\n        kdc = {each.address}\n    }}\n" for each in known)
        domains = "".join(f"    .{each.domain} = {each.realm}\n    {each.domain} = {each.realm}\n" for each in known)
        self.krb5_conf.write_text(
            f"[libdefaults]\n    default_realm = {self.realm}\n    dns_lookup_realm = false\n"
            "    dns_lookup_kdc = false\n    rdns = false\n    dns_canonicalize_hostname = false\n"
            f"    allow_weak_crypto = true\n[realms]\n{realms}[domain_realm]\n{domains}"
        )

    def _write_certificates(self) -> None:
        tls = self.folder / "tls"
        ca = make("directory CA", is_ca=True)
        key = rsa.generate_private_key(65537, 2048)
        names = [self.controller, self.domain, self.address]
        server = make(self.controller, ca, key=key, names=names, usage=SERVER_AUTH)
        (tls / "ca.pem").write_bytes(ca.pem)
        (tls / "ca.der").write_bytes(ca.der)
        (tls / "dc.pem").write_bytes(server.pem)
        (tls / "dc-key.pem").write_bytes(server.key_pem())
        (tls / "dc-key.pem").chmod(0o600)
        store = serialize_java_truststore(
            [PKCS12Certificate(ca.certificate, b"ca")], BestAvailableEncryption(TRUSTSTORE_PASSWORD)
        )
        (tls / "trust.p12").write_bytes(store)


def _free_address() -> str:
    """An address of loopback on whose LDAP port nobody listens."""
    for _ in range(50):
        address = f"127.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        with socket.socket() as listener:
            try:
                listener.bind((address, 389))
            except OSError:
                continue
            return address
    raise RuntimeError("no free loopback address")
