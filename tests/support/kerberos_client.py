"""A client of HTTP Negotiate, by python-gssapi; runs in a child process, where its environment is its own."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping

from tests.support.processes import run

_PROGRAM = """
import base64, sys
import gssapi
mechanism, principal, binding = sys.argv[1:]
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False
service = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
bindings = gssapi.raw.ChannelBindings(application_data=binding.encode()) if binding else None
context = gssapi.SecurityContext(
    name=service,
    mech=gssapi.OID.from_int_seq(mechanism),
    usage="initiate",
    flags=[gssapi.RequirementFlag.mutual_authentication],
    channel_bindings=bindings,
)
print(base64.b64encode(context.step()).decode(), flush=True)
for line in sys.stdin:
    context.step(base64.b64decode(line))
    print("complete" if context.complete else "incomplete", flush=True)
"""
SPNEGO, KERBEROS = "1.3.6.1.5.5.2", "1.2.840.113554.1.2.2"


def token(principal: str, environment: Mapping[str, str], *, mechanism: str = SPNEGO, binding: str = "") -> bytes:
    """The first token of a client for a service, ``HTTP/ca.example.com@EXAMPLE.COM``."""
    done = run([sys.executable, "-c", _PROGRAM, mechanism, principal, binding], environment=environment)
    return base64.b64decode(done.stdout)


def negotiate(token: bytes) -> str:
    """The value of Authorization with a token."""
    return "Negotiate " + base64.b64encode(token).decode("ascii")
