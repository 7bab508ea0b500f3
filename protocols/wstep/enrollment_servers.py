"""The values of ``msPKI-Enrollment-Servers``: at which URLs clients enroll, and how they authenticate there.

A value is five lines ([MS-WCCE] 2.2.2.11.2): priority, authentication, renewal only, URL, and whether keys may be the
basis of a renewal, which certutil shows as a last ``0``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import urlsplit

from cspd.refusals import Malformed
from cspd.x509.general_names import GeneralNameError, check_uri

MAX_PRIORITY = (1 << 31) - 1


class ServerAuthentication(IntEnum):
    """How a client authenticates at a URL, as the directory numbers it."""

    ANONYMOUS = 1
    KERBEROS = 2
    USER_NAME = 4
    CERTIFICATE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentServer:
    """One URL of an enrollment service."""

    url: str
    authentication: ServerAuthentication
    priority: int = 1
    """The lowest is preferred."""
    renewal_only: bool = False


def encode_enrollment_server(server: EnrollmentServer) -> str:
    """The value of the attribute (R-CEG-162); raises Malformed for a URL or priority that none can be."""
    if not 0 <= server.priority <= MAX_PRIORITY:
        raise Malformed("a priority is a number from 0 to 2147483647")
    try:
        check_uri(server.url)
    except GeneralNameError as error:
        raise Malformed(str(error)) from error
    if not server.url.startswith("https://"):
        raise Malformed("an enrollment URL begins with https://")
    renewal_only = int(server.renewal_only)
    return f"{server.priority}\n{int(server.authentication)}\n{renewal_only}\n{server.url}\n0"


def decode_enrollment_server(value: str) -> EnrollmentServer:
    """Read a value of the attribute, with the last line or without; raises Malformed."""
    lines = value.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) not in (4, 5) or lines[4:] not in ([], ["0"], ["1"]):
        raise Malformed("a value of msPKI-Enrollment-Servers has priority, authentication, renewal only and URL")
    try:
        priority, authentication, renewal_only = (int(line) for line in lines[:3])
        if renewal_only not in (0, 1):
            raise ValueError(f"{renewal_only} is neither 0 nor 1")
        server = EnrollmentServer(
            url=lines[3],
            authentication=ServerAuthentication(authentication),
            priority=priority,
            renewal_only=bool(renewal_only),
        )
    except ValueError as error:
        raise Malformed(f"a value of msPKI-Enrollment-Servers: {error}") from error
    encode_enrollment_server(server)
    return server


def enrollment_servers(
    host: str, tenant: str, ca: str, *, kerberos: bool, certificate_renewal: bool = False, port: int = 443
) -> tuple[EnrollmentServer, ...]:
    """The URLs of a CA at which this server answers: by user name, by Kerberos and, for renewals, by certificate
    where these are switched on.

    The port stands in the URL also where it is 443, as Microsoft's tools write it (R-CEG-147).
    """
    ways = [("usertoken", ServerAuthentication.USER_NAME)]
    if kerberos:
        ways.append(("kerberos", ServerAuthentication.KERBEROS))
    if certificate_renewal:
        ways.append(("certificate", ServerAuthentication.CERTIFICATE))
    return tuple(
        EnrollmentServer(
            url=f"https://{host}:{port}/wstep/{word}/services/{tenant}/{ca}",
            authentication=way,
            renewal_only=way is ServerAuthentication.CERTIFICATE,
        )
        for word, way in ways
    )


def servers_at(
    public_https: str, tenant: str, ca: str, *, kerberos: bool, certificate_renewal: bool = False
) -> tuple[EnrollmentServer, ...]:
    """The same below a public URL without path, such as ``https://ca.example.com:8443``."""
    address = urlsplit(public_https)
    host = address.hostname or ""
    literal = f"[{host}]" if ":" in host else host
    return enrollment_servers(
        literal,
        tenant,
        ca,
        kerberos=kerberos,
        certificate_renewal=certificate_renewal,
        port=address.port or 443,
    )
