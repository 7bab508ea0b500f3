"""What an administrator has to put into Active Directory so that clients find a CA, as LDIF; and what is not there yet.

Below ``CN=Public Key Services,CN=Services,<configuration>``::

    CN=<name>,CN=Enrollment Services             the CA, its URLs, its templates
    CN=NTAuthCertificates                        CAs whose certificates are logons
    CN=<root>,CN=Certification Authorities       trusted roots
    CN=<name>,CN=AIA                             CA certificates for chains

Nothing here asks a directory or writes to one: the text is for ``ldifde`` or ``ldapmodify``, run by an administrator.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cspd.directory.values import EnrollmentService
from cspd.refusals import Conflict, Malformed
from cspd.x509.names import format_name
from protocols.wstep.enrollment_servers import EnrollmentServer, decode_enrollment_server, encode_enrollment_server

DEFAULT_TEMPLATE = "User"
NEEDED_TEMPLATE = "WSTEPUser"
"""Always listed (R-CEG-167)."""

_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")
_TEMPLATE_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")
_SAFE = re.compile(r"[\x21-\x39\x3b\x3d-\x7e][\x20-\x7e]*")
_LINE = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceObjects:
    """One CA as it shall stand in the directory; the names have been checked by :func:`service_objects`."""

    configuration: str
    """The DN of the configuration naming context."""
    name: str
    dns_host_name: str
    servers: tuple[EnrollmentServer, ...]
    templates: tuple[str, ...]
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = field(default=())
    """The issuers of ``certificate``, the root last; without any it is a root itself."""


def service_objects(
    *,
    configuration: str,
    name: str,
    dns_host_name: str,
    servers: Sequence[EnrollmentServer],
    ca_certificate_der: bytes,
    chain_der: Sequence[bytes] = (),
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    existing: Sequence[EnrollmentService] = (),
) -> ServiceObjects:
    """Check what an administrator wants to put into the directory.

    Raises Malformed for a service or template name that is none (R-CEG-163, 164) and for certificates that are not DER
    (R-CEG-166), and Conflict for a name that one of the ``existing`` services has.
    """
    if not _SERVICE_NAME.fullmatch(name):
        raise Malformed("a service name begins with a letter or digit; then letters, digits, spaces, '-' and '_'")
    if any(service.name.lower() == name.lower() for service in existing):
        raise Conflict(f"the forest has an enrollment service {name!r}")
    wanted = list(dict.fromkeys([*templates, NEEDED_TEMPLATE]))
    for template in wanted:
        if not _TEMPLATE_NAME.fullmatch(template):
            raise Malformed(f"{template[:64]!r} is not the name of a template: it has no spaces")
    return ServiceObjects(
        configuration=configuration,
        name=name,
        dns_host_name=dns_host_name,
        servers=tuple(servers),
        templates=tuple(wanted),
        certificate=_certificate(ca_certificate_der),
        chain=tuple(map(_certificate, chain_der)),
    )


def to_ldif(objects: ServiceObjects, *, has_nt_auth: bool = True) -> str:
    """The LDIF (RFC 2849) that makes the entries; for ``ldifde -i -f`` and ``ldapmodify``.

    ``has_nt_auth``: the forest has NTAuthCertificates already, as it does after any CA of Microsoft's.
    """
    services = f"CN=Public Key Services,CN=Services,{objects.configuration}"
    root = objects.chain[-1] if objects.chain else objects.certificate
    own_der = objects.certificate.public_bytes(Encoding.DER)
    authorities = {
        f"{_rdn(_common_name(root))},CN=Certification Authorities,{services}": root.public_bytes(Encoding.DER),
        f"{_rdn(objects.name)},CN=AIA,{services}": own_der,
    }
    records = [
        _record(
            f"{_rdn(objects.name)},CN=Enrollment Services,{services}",
            ("changetype", ["add"]),
            ("objectClass", ["pKIEnrollmentService"]),
            ("displayName", [objects.name]),
            ("dNSHostName", [objects.dns_host_name]),
            ("cACertificate", [own_der]),
            ("cACertificateDN", [format_name(objects.certificate.subject)]),
            ("certificateTemplates", objects.templates),
            ("msPKI-Enrollment-Servers", [encode_enrollment_server(server) for server in objects.servers]),
        ),
        *(_authority(dn, der) for dn, der in authorities.items()),
    ]
    nt_auth = f"CN=NTAuthCertificates,{services}"
    if has_nt_auth:
        change = (("changetype", ["modify"]), ("add", ["cACertificate"]), ("cACertificate", [own_der]))
        records.append(_record(nt_auth, *change, end="-\n"))
    else:
        records.append(_authority(nt_auth, own_der))
    return "\n".join(["version: 1\n", *records])


def differences(objects: ServiceObjects, found: Sequence[EnrollmentService]) -> list[str]:
    """What of the enrollment service is not in the directory as it shall be; a sentence for each."""
    service = next((each for each in found if each.name.lower() == objects.name.lower()), None)
    if service is None:
        return [f"there is no enrollment service {objects.name!r}"]
    problems = []
    if service.dns_host_name.lower() != objects.dns_host_name.lower():
        problems.append(f"dNSHostName is {service.dns_host_name!r}, not {objects.dns_host_name!r}")
    if objects.certificate.public_bytes(Encoding.DER) not in service.ca_certificates_der:
        problems.append("cACertificate is not the certificate of the CA")
    missing = set(objects.templates) - service.certificate_templates
    problems += [f"certificateTemplates lacks {name}" for name in sorted(missing)]
    registered = []
    for value in service.enrollment_servers:
        try:
            registered.append(decode_enrollment_server(value))
        except Malformed as error:
            problems.append(f"msPKI-Enrollment-Servers has a value that cannot be read: {error.reason}")
    for server in objects.servers:
        if not any(_stands_for(each, server) for each in registered):
            problems.append(f"msPKI-Enrollment-Servers lacks {server.url}")
    return problems


def _stands_for(registered: EnrollmentServer, server: EnrollmentServer) -> bool:
    """An administrator may keep a URL for renewals, but not offer for first certificates what only renews."""
    return (registered.url, registered.authentication) == (server.url, server.authentication) and (
        registered.renewal_only or not server.renewal_only
    )


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError) as error:
        raise Malformed("a CA certificate is given as DER, not as PEM or anything else") from error


def _authority(dn: str, certificate_der: bytes) -> str:
    return _record(
        dn,
        ("changetype", ["add"]),
        ("objectClass", ["certificationAuthority"]),
        ("cACertificate", [certificate_der]),
        # The class wants both lists; certutil writes a zero octet where there is none.
        ("authorityRevocationList", [b"\0"]),
        ("certificateRevocationList", [b"\0"]),
    )


def _rdn(common_name: str) -> str:
    return format_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else format_name(certificate.subject)


def _record(dn: str, *attributes: tuple[str, Sequence[str | bytes]], end: str = "") -> str:
    lines = [_attribute("dn", dn)]
    lines += [_attribute(name, value) for name, values in attributes for value in values]
    return "".join(lines) + end


def _attribute(name: str, value: str | bytes) -> str:
    """One attribute; in base64 where RFC 2849 does not allow the text as it is; folded."""
    if isinstance(value, str) and _SAFE.fullmatch(value) and not value.endswith(" "):
        text = f"{name}: {value}"
    else:
        octets = value if isinstance(value, bytes) else value.encode()
        text = f"{name}:: {base64.b64encode(octets).decode('ascii')}"
    return "\n ".join(_folded(text)) + "\n"


def _folded(text: str) -> Iterable[str]:
    yield text[:_LINE]
    for start in range(_LINE, len(text), _LINE - 1):
        yield text[start : start + _LINE - 1]
