"""Fills a new Samba domain, straight into its database; run by the Python that has the samba module, the system's.

samba_populate.py domain FOLDER SETTINGS       accounts, groups, templates, DNS names, keytabs; SETTINGS is JSON
samba_populate.py trust FOLDER OTHER_FOLDER    one way of a forest trust: FOLDER's domain trusts the other's
"""

from __future__ import annotations

import json
import os
import sys
import time

import ldb
import samba.dckeytab  # noqa: F401  # adds Net.export_keytab
from samba import unix2nttime
from samba.auth import system_session
from samba.credentials import Credentials
from samba.dcerpc import dnsp, drsblobs, lsa, security
from samba.ndr import ndr_pack
from samba.net import Net
from samba.param import LoadParm
from samba.samdb import SamDB

TEMPLATE_ARC = "1.3.6.1.4.1.311.21.8.1111111.2222222.3333333.4444444.5555555.66.7777777"
NORMAL, NEVER_EXPIRES, DISABLED = 0x200, 0x10000, 0x2
A_YEAR = b"\x00\x40\x39\x87\x2e\xe1\xfe\xff"
SIX_WEEKS = b"\x00\x80\xa6\x0a\xff\xde\xff\xff"
ENROLL = "0e10c968-78fb-11d2-90d4-00c04f79dc55"
AUTO_ENROLL = "a05b8cc2-17bc-4802-a710-e7c15ab866a2"
# Name flags: directory path, mail in the subject, mail and UPN in subjectAltName; common name and UPN; DNS name as
# common name and in subjectAltName; supplied by the request.
TEMPLATES = [
    # name, schema version, flags, name flags, extended key usage, key usage, may enroll
    ("User", 1, 0x1023A, 0xA6000000, ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"], 0xA0, "everybody"),
    ("WSTEPUser", 2, 0x2023A, 0x42000000, ["1.3.6.1.5.5.7.3.2"], 0xA0, "group"),
    ("WSTEPMachine", 2, 0x20260, 0x18000000, ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"], 0xA0, "group"),
    ("WSTEPSign", 4, 0x2023A, 0x42000000, ["1.3.6.1.5.5.7.3.2"], 0x80, "everybody"),
    ("WSTEPEncrypt", 4, 0x2023A, 0x42000000, ["1.3.6.1.5.5.7.3.4"], 0x20, "everybody"),
    ("WSTEPSupply", 2, 0x20241, 1, ["1.3.6.1.5.5.7.3.1"], 0xA0, "nobody"),
]


def opened(folder):
    """The database of a domain, and its smb.conf."""
    parameters = LoadParm()
    parameters.load(folder + "/etc/smb.conf")
    sam = SamDB(url=folder + "/private/sam.ldb", session_info=system_session(parameters), lp=parameters)
    return sam, parameters


class Filler:
    def __init__(self, folder, settings):
        self.folder, self.settings = folder, settings
        self.sam, self.parameters = opened(folder)
        self.base = str(self.sam.get_default_basedn())
        self.domain = settings["domain"]
        self.password = settings["password"]

    def dn_of(self, account):
        wanted = f"(sAMAccountName={ldb.binary_encode(account)})"
        return str(self.sam.search(self.base, ldb.SCOPE_SUBTREE, wanted, attrs=[])[0].dn)

    def modify(self, dn, **attributes):
        message = ldb.Message(ldb.Dn(self.sam, dn))
        for name, value in attributes.items():
            name = name.replace("__", "-")
            values = value if isinstance(value, list) else [value]
            message[name] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, name)
        self.sam.modify(message)

    def user(self, name, given="", surname="", *, control=NORMAL | NEVER_EXPIRES, mail=True, **attributes):
        address = f"{name}@{self.domain}" if mail else None
        self.sam.newuser(
            name,
            self.password,
            useusernameascn=True,
            givenname=given or None,
            surname=surname or None,
            mailaddress=address,
        )
        if given:
            called = ldb.Dn(self.sam, self.dn_of(name))
            called.set_component(0, "CN", f"{given} {surname}")  # newuser does not escape
            self.sam.rename(self.dn_of(name), called)
        attributes.setdefault("userPrincipalName", f"{name}@{self.domain}")
        self.modify(self.dn_of(name), userAccountControl=str(control), **attributes)

    def people(self):
        self.user("alice", "Alice", "Adams")
        self.user("bob", "Bob", "Brown")
        self.user("dave", "Dave", "Dunn", userPrincipalName="dave.dunn@corp.example")
        self.user("disabled", control=NORMAL | NEVER_EXPIRES | DISABLED)
        self.user("expired", accountExpires=str(unix2nttime(int(time.time()) - 86400)))  # noqa: TID251  # Samba looks at the real time
        self.user("nomail", mail=False)
        self.user("uml", "J\u00f6rg", "M\u00fcller, X")
        self.user("svc-ldap")
        self.user("locked")
        # Locked as the domain controller locks after too many wrong passwords.
        self.modify(
            self.base,
            lockoutThreshold="5",
            lockoutDuration=str(-36000000000),
            lockOutObservationWindow=str(-36000000000),
        )
        self.modify(self.dn_of("locked"), lockoutTime=str(unix2nttime(int(time.time()))), badPwdCount="5")  # noqa: TID251  # Samba looks at the real time
        self.modify("CN=Partitions,CN=Configuration," + self.base, uPNSuffixes="corp.example")

    def services(self):
        for name, service, encryption in (
            ("svc-cspd", "HTTP/" + self.settings["service"], 24),
            ("svc-other", "HTTP/other." + self.domain, 24),
            ("svc-rc4", "HTTP/rc4." + self.domain, 4),
        ):
            self.user(name, servicePrincipalName=[service], msDS__SupportedEncryptionTypes=str(encryption))
        # What the missing samba_spnupdate would add: for SASL binds to LDAP and the global catalog.
        controller = "CN={},OU=Domain Controllers,{}".format(self.settings["host"].upper(), self.base)
        fqdn = "{}.{}".format(self.settings["host"], self.domain)
        message = ldb.Message(ldb.Dn(self.sam, controller))
        names = ["ldap/" + fqdn, f"ldap/{fqdn}/{self.domain}", f"GC/{fqdn}/{self.domain}"]
        message["servicePrincipalName"] = ldb.MessageElement(names, ldb.FLAG_MOD_ADD, "servicePrincipalName")
        self.sam.modify(message, ["permissive_modify:1"])

    def machine(self):
        self.sam.newcomputer("WS1", prepare_oldjoin=True)
        host = "ws1." + self.domain
        self.modify(
            self.dn_of("WS1$"),
            dNSHostName=host,
            userAccountControl="4096",
            msDS__SupportedEncryptionTypes="28",
            servicePrincipalName=["HOST/WS1", "HOST/" + host],
        )
        self.sam.setpassword("(sAMAccountName=WS1$)", self.password)

    def groups(self):
        for name in ("WSTEP Access", "Inner", "Outer"):
            self.sam.newgroup(name)
        self.sam.newgroup("Letters", grouptype=2)  # GTYPE_DISTRIBUTION_GLOBAL_GROUP
        self.sam.add_remove_group_members("WSTEP Access", ["alice", "WS1$"], add_members_operation=True)
        self.sam.add_remove_group_members("Inner", ["bob"], add_members_operation=True)
        self.sam.add_remove_group_members("Outer", ["Inner"], add_members_operation=True)

    def container(self, dn):
        try:
            self.sam.search(dn, ldb.SCOPE_BASE, attrs=[])
        except ldb.LdbError:
            self.sam.add({"dn": dn, "objectClass": "container"})

    def grant(self, dn, sid):
        """Let a group enroll; everybody else may read."""
        own = self.sam.get_domain_sid()
        rights = "".join(f"(OA;;CR;{right};;{sid})" for right in (ENROLL, AUTO_ENROLL)) if sid else ""
        sddl = f"O:{own}-519G:{own}-519D:(A;;LCRPLORC;;;AU){rights}"
        descriptor = security.descriptor.from_sddl(sddl, security.dom_sid(own))
        self.modify(dn, nTSecurityDescriptor=ndr_pack(descriptor))

    def templates(self):
        services = "CN=Public Key Services,CN=Services,CN=Configuration," + self.base
        for dn in (services, "CN=Certificate Templates," + services, "CN=Enrollment Services," + services):
            self.container(dn)
        attributes = ["objectSid"]
        found = self.sam.search(self.base, ldb.SCOPE_SUBTREE, "(sAMAccountName=WSTEP Access)", attrs=attributes)
        group = str(self.sam.schema_format_value("objectSid", found[0]["objectSid"][0]).decode())
        who = {"everybody": "AU", "group": group, "nobody": ""}
        for number, (name, version, flags, name_flags, usages, key_usage, enrollers) in enumerate(TEMPLATES, 1):
            dn = f"CN={name},CN=Certificate Templates,{services}"
            self.sam.add(
                {
                    "dn": dn,
                    "objectClass": "pKICertificateTemplate",
                    "displayName": name,
                    "flags": str(flags),
                    "revision": "100",
                    "msPKI-Template-Schema-Version": str(version),
                    "msPKI-Template-Minor-Revision": "2",
                    "msPKI-Cert-Template-OID": f"{TEMPLATE_ARC}.{number}",
                    "msPKI-Certificate-Name-Flag": str(name_flags - (1 << 32) if name_flags >> 31 else name_flags),
                    "msPKI-Enrollment-Flag": "0",
                    "msPKI-Private-Key-Flag": "16842752",
                    "msPKI-Minimal-Key-Size": "2048",
                    "msPKI-RA-Signature": "0",
                    "pKIDefaultKeySpec": "1",
                    "pKIMaxIssuingDepth": "0",
                    "pKICriticalExtensions": "2.5.29.15",
                    "pKIExtendedKeyUsage": usages,
                    "pKIKeyUsage": bytes([key_usage, 0]),
                    "pKIExpirationPeriod": A_YEAR,
                    "pKIOverlapPeriod": SIX_WEEKS,
                }
            )
            self.grant(dn, who[enrollers])
        dn = "CN=CSPD WSTEP,CN=Enrollment Services," + services
        url = "https://%s:443/wstep/%s/services/tenant1/example-ca1"
        with open(self.settings["ca_der"], "rb") as stream:
            ca_der = stream.read()
        self.sam.add(
            {
                "dn": dn,
                "objectClass": "pKIEnrollmentService",
                "displayName": "CSPD WSTEP",
                "dNSHostName": self.settings["service"],
                "cACertificate": ca_der,
                "cACertificateDN": "CN=directory CA",
                "certificateTemplates": [template[0] for template in TEMPLATES],
                "msPKI-Enrollment-Servers": [
                    "1\n4\n0\n%s\n0" % (url % (self.settings["service"], "usertoken")),
                    "1\n2\n0\n%s\n0" % (url % (self.settings["service"], "kerberos")),
                ],
            }
        )
        self.grant(dn, "AU")

    def keytabs(self):
        realm = self.domain.upper()
        for file, principal in (
            ("http.keytab", "HTTP/{}@{}".format(self.settings["service"], realm)),
            ("other.keytab", f"HTTP/other.{self.domain}@{realm}"),
            ("rc4.keytab", f"HTTP/rc4.{self.domain}@{realm}"),
            ("ws1.keytab", "WS1$@" + realm),
            ("svc-cspd.keytab", "svc-cspd@" + realm),
        ):
            Net(Credentials(), self.parameters).export_keytab(keytab=self.folder + "/" + file, principal=principal)
            os.chmod(self.folder + "/" + file, 0o600)

    def names(self):
        host = self.settings["service"].partition(".")[0]
        record = dnsp.DnssrvRpcRecord()
        record.wType, record.rank = dnsp.DNS_TYPE_A, dnsp.DNS_RANK_ZONE
        record.dwTtlSeconds, record.dwSerial, record.data = 300, 1, "127.0.0.1"
        zone = f"DC={self.domain},CN=MicrosoftDNS,DC=DomainDnsZones,{self.base}"
        self.sam.add({"dn": f"DC={host},{zone}", "objectClass": "dnsNode", "dnsRecord": ndr_pack(record)})


def fill(folder, settings):
    filler = Filler(folder, settings)
    for step in ("people", "services", "machine", "groups", "templates", "names", "keytabs"):
        getattr(filler, step)()
    print(filler.sam.get_domain_sid())


def trust(folder, other_folder):
    (own, _), (other, other_parameters) = opened(folder), opened(other_folder)
    secret = "Trust.Passw0rd.123"
    clear = drsblobs.AuthInfoClear()
    octets = list(secret.encode("utf-16-le"))
    clear.size = len(octets)  # first: it bounds what comes
    clear.password = octets
    information = drsblobs.AuthenticationInformation()
    information.LastUpdateTime = unix2nttime(int(time.time()))  # noqa: TID251  # Samba looks at the real time
    information.AuthType, information.AuthInfo = lsa.TRUST_AUTH_TYPE_CLEAR, clear
    array = drsblobs.AuthenticationInformationArray()
    array.count, array.array = 1, [information]
    blob = drsblobs.trustAuthInOutBlob()
    blob.count, blob.current = 1, array
    base = str(own.get_default_basedn())
    domain, flat = other_parameters.get("realm").lower(), other_parameters.get("workgroup")
    own.add(
        {
            "dn": f"CN={domain},CN=System,{base}",
            "objectClass": "trustedDomain",
            "cn": domain,
            "flatName": flat,
            "trustPartner": domain,
            "securityIdentifier": ndr_pack(security.dom_sid(other.get_domain_sid())),
            "trustDirection": "3",
            "trustType": "2",
            "trustAttributes": "8",
            "msDS-SupportedEncryptionTypes": "24",
            "trustAuthIncoming": ndr_pack(blob),
            "trustAuthOutgoing": ndr_pack(blob),
        }
    )
    own.add(
        {
            "dn": f"CN={flat}$,CN=Users,{base}",
            "objectClass": "user",
            "sAMAccountName": flat + "$",
            "userAccountControl": str(0x820),
            "clearTextPassword": secret.encode("utf-16-le"),
        },
        controls=["local_oid:1.3.6.1.4.1.7165.4.3.23:0"],  # permit interdomain trust account
    )


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "domain":
        fill(arguments[0], json.loads(arguments[1]))
    else:
        trust(*arguments)
