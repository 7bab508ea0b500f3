"""Makes the corpus of security descriptors and SIDs, and that of tokens of Negotiate, by a Samba domain of its own.

Run as root with the repository's folder as the current one: ``python -m tests.fuzz.corpus.directory.make``. The tickets
are of a realm that is gone when the program ends.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from plugins.active_directory.conversation import Controller, Scope, Search, Simple
from plugins.active_directory.ldap import LDAPDialler
from tests.support.kerberos_client import KERBEROS, SPNEGO, token
from tests.support.samba_ad import PASSWORD, SambaAD
from tests.unit.authentication.spnego_tokens import NEGOEX, NTLM, NTLM_TOKEN, init, kerberos, response

FOLDER = Path(__file__).parent
NEGOTIATE = FOLDER.parent / "negotiate"
HELD = "DC=cspd,DC=test"
SERVICES = f"CN=Public Key Services,CN=Services,CN=Configuration,{HELD}"


def main() -> None:
    with SambaAD() as samba, tempfile.TemporaryDirectory() as folder:
        seconds = timedelta(seconds=30)
        pem = samba.ca_file.read_text()
        dial = LDAPDialler(ldaps=True, start_tls=False, trusted_pem=pem, connect_timeout=seconds, read_timeout=seconds)
        reader = Simple(f"svc-ldap@{samba.domain}", PASSWORD)
        conversation = dial(Controller(samba.controller, 636, samba.address), reader)
        for name, base in (
            ("template", f"CN=WSTEPUser,CN=Certificate Templates,{SERVICES}"),
            ("service", f"CN=CSPD WSTEP,CN=Enrollment Services,{SERVICES}"),
            ("domain", HELD),
            ("user", f"CN=Alice Adams,CN=Users,{HELD}"),
            ("group", f"CN=Outer,CN=Users,{HELD}"),
            ("administrators", f"CN=Administrators,CN=Builtin,{HELD}"),
        ):
            search = Search(
                base=base, filter="(objectClass=*)", attributes=("objectSid",), scope=Scope.BASE, with_security=True
            )
            (entry,) = conversation.search(search).entries
            (FOLDER / f"{name}.sd").write_bytes(entry.attributes["ntsecuritydescriptor"][0])
            if sid := entry.attributes.get("objectsid"):
                (FOLDER / f"{name}.sid").write_bytes(sid[0])
        conversation.close()
        alice = samba.kinit("alice", Path(folder) / "alice")
        service = f"HTTP/ca.{samba.domain}@{samba.realm}"
        (NEGOTIATE / "mit-spnego.token").write_bytes(token(service, alice, mechanism=SPNEGO))
        (NEGOTIATE / "mit-kerberos.token").write_bytes(token(service, alice, mechanism=KERBEROS))
        rc4 = token(f"HTTP/rc4.{samba.domain}@{samba.realm}", alice)
        (NEGOTIATE / "mit-rc4.token").write_bytes(rc4)
    (NEGOTIATE / "bad-ntlm.token").write_bytes(NTLM_TOKEN)
    (NEGOTIATE / "bad-ntlm-inside.token").write_bytes(init([NTLM], NTLM_TOKEN))
    (NEGOTIATE / "negoex-first.token").write_bytes(init([NEGOEX, "1.2.840.113554.1.2.2"], b"NEGOEXTS"))
    (NEGOTIATE / "second.token").write_bytes(response(kerberos()))


if __name__ == "__main__":
    main()
