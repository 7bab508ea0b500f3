"""What ``cspctl wstep`` asks: what has to stand in Active Directory for a CA, and what of it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field

from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.authority.interfaces import Authorities
from cspd.authority.profile_values import Profile
from cspd.authority.values import Authority
from cspd.directory.interfaces import Directory
from cspd.directory.values import CertificateTemplate, EnrollmentService, Group
from cspd.refusals import Conflict, Malformed, NotFound, Unavailable
from cspd.x509.object_identifiers import is_dotted
from protocols.wstep.ad_objects import (
    DEFAULT_TEMPLATE,
    ServiceObjects,
    access_differences,
    differences,
    service_objects,
    templates_differences,
    to_ldif,
    trust_differences,
)
from protocols.wstep.ad_templates import directory_template
from protocols.wstep.enrollment_servers import EnrollmentServer, encode_enrollment_server, servers_at
from protocols.wstep.messages import Terms

MAX_TEMPLATES = 256


class WhichService(Arguments):
    """A CA, and how it shall stand in a forest."""

    ca: Annotated[str, Field(max_length=128)]
    """``organization~ca``."""
    forest: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$")]
    """The DNS name of the forest's root domain."""
    tenant: str | None = None
    """Whose URLs; may be left out where there is one tenant."""
    name: Annotated[str, Field(max_length=64)] | None = None
    """Of the enrollment service; the common name of the CA if not given."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")] | None = None
    """dNSHostName; the host of the server's public URL if not given."""
    templates: Annotated[tuple[str, ...], Field(max_length=MAX_TEMPLATES)] = (DEFAULT_TEMPLATE,)
    new_templates: bool = False
    """Whether the templates that conf maps to profiles are made, too."""
    machines: Annotated[tuple[str, ...], Field(max_length=MAX_TEMPLATES)] = ()
    """Those of them by which machines, not users, enroll."""
    template_oid_arc: Annotated[str, Field(max_length=200)] | None = None
    """The forest's own arc for templates, dotted; without one their object identifiers are made from their names."""
    group: Annotated[str, Field(max_length=256)] | None = None
    """The security group that may enroll (R-CEG-165)."""
    has_nt_auth: bool = True
    """Whether the forest has NTAuthCertificates, as it has after any CA of Microsoft's."""


class DirectoryOperations:
    """Runs the operations on what stands in Active Directory; none writes to it."""

    def __init__(
        self,
        served: Sequence[Terms],
        *,
        authorities: Authorities,
        profiles: Mapping[str, Profile],
        directories: Sequence[Directory],
        tenants: frozenset[str],
        public_https: str,
        kerberos: bool,
    ) -> None:
        """``kerberos``: its URLs are served, too."""
        self._served = {str(terms.ca): terms for terms in served}
        self._authorities = authorities
        self._profiles = profiles
        self._directories = tuple(directories)
        self._tenants = tenants
        self._public = public_https
        self._kerberos = kerberos

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="wstep-servers", arguments=NoArguments, run=self.servers, only_reads=True),
            Operation(name="wstep-ad-objects", arguments=WhichService, run=self.ad_objects, only_reads=True),
            Operation(name="wstep-ad-check", arguments=WhichService, run=self.ad_check, only_reads=True),
        )

    async def servers(self, arguments: NoArguments, caller: Caller) -> Any:
        """Each URL of each CA, with the value of msPKI-Enrollment-Servers (R-CEGI-044)."""
        rows = []
        for ca in self._served:
            terms, _, certificate = await self._authority(ca)
            for tenant in sorted(self._tenants):
                rows += [
                    {
                        "ca": ca,
                        "tenant": tenant,
                        "authentication": server.authentication.name.lower().replace("_", " "),
                        "url": server.url,
                        "value": encode_enrollment_server(server),
                        "ca_certificate": certificate.public_bytes(Encoding.PEM).decode(),
                    }
                    for server in self._servers(tenant, terms)
                ]
        return rows

    async def ad_objects(self, arguments: WhichService, caller: Caller) -> Any:
        """The LDIF that an administrator runs; refused for names that the forest has, where that can be known.

        Raises NotFound for a group that is no security group of the forest, or if no directory of conf has the forest
        where it is to be looked up.
        """
        try:
            existing = await self._services(arguments.forest)
        except NotFound:
            existing = ()
        objects = await self._objects(arguments, existing, group=await self._group(arguments))
        await self._check_templates_are_new(arguments, objects)
        return {"ldif": to_ldif(objects, has_nt_auth=arguments.has_nt_auth)}

    async def ad_check(self, arguments: WhichService, caller: Caller) -> Any:
        """What the directory lacks: a sentence for each; nothing if all is as it shall be.

        Raises NotFound if no directory of conf has the forest, and Unavailable.
        """
        directory = await self._directory(arguments.forest)
        services = await directory.enrollment_services(domain=arguments.forest)
        templates = await directory.templates(domain=arguments.forest)
        problems = []
        group = None
        try:
            group = await self._group(arguments)
        except NotFound as error:
            problems.append(error.reason)
        objects = await self._objects(arguments, (), group=group)
        problems += differences(objects, services)
        problems += templates_differences(objects, templates)
        problems += trust_differences(objects, await directory.trusted_authorities(domain=arguments.forest))
        problems += access_differences(objects, services, templates)
        return {"problems": problems}

    async def _objects(
        self, arguments: WhichService, existing: Sequence[EnrollmentService], *, group: Group | None
    ) -> ServiceObjects:
        terms, authority, certificate = await self._authority(arguments.ca)
        return service_objects(
            configuration="CN=Configuration," + ",".join(f"DC={part}" for part in arguments.forest.split(".")),
            name=arguments.name or _common_name(certificate),
            dns_host_name=arguments.host or urlsplit(self._public).hostname or "",
            servers=self._servers(self._tenant(arguments.tenant), terms),
            ca_certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=authority.chain_der,
            templates=arguments.templates,
            existing=existing,
            new_templates=self._new_templates(arguments, terms),
            group=group,
        )

    def _new_templates(self, arguments: WhichService, terms: Terms) -> Sequence[CertificateTemplate]:
        """A template for each that conf maps; raises NotFound for machines' templates that it does not, Malformed."""
        if not arguments.new_templates:
            return ()
        arc = arguments.template_oid_arc
        if arc is not None and not is_dotted(arc):
            raise Malformed("the arc of templates is an object identifier, dotted")
        machines = {name.lower() for name in arguments.machines}
        if unknown := machines - {name.lower() for name in terms.mapped}:
            raise NotFound(f"conf maps no template {', '.join(sorted(unknown))}", code="no-such-template")
        return [
            directory_template(name, self._profile(profile), for_machines=name.lower() in machines, arc=arc)
            for name, profile in sorted(terms.mapped.items())
        ]

    def _profile(self, profile: str) -> Profile:
        try:
            return self._profiles[profile]
        except KeyError as error:
            raise NotFound(f"there is no profile {profile!r}, to which conf maps a template") from error

    async def _check_templates_are_new(self, arguments: WhichService, objects: ServiceObjects) -> None:
        """Raises Conflict where the forest is known and has one."""
        if not objects.new_templates:
            return
        try:
            directory = await self._directory(arguments.forest)
        except NotFound:
            return
        known = {template.name.lower() for template in await directory.templates(domain=arguments.forest)}
        if there := [each.name for each in objects.new_templates if each.name.lower() in known]:
            raise Conflict(f"the forest has certificate templates of these names: {', '.join(there)}")

    async def _group(self, arguments: WhichService) -> Group | None:
        if arguments.group is None:
            return None
        return await (await self._directory(arguments.forest)).security_group(arguments.group)

    async def _authority(self, ca: str) -> tuple[Terms, Authority, x509.Certificate]:
        terms = self._served.get(ca)
        if terms is None:
            raise NotFound(f"no [[protocols.wstep.services]] is of the CA {ca!r}", code="no-such-service")
        authority = await self._authorities.get(terms.ca)
        if authority.certificate is None:
            raise Conflict(f"the CA {ca} has no certificate yet")
        return terms, authority, authority.certificate

    def _tenant(self, tenant: str | None) -> str:
        if tenant is None and len(self._tenants) == 1:
            return next(iter(self._tenants))
        if tenant is None or tenant not in self._tenants:
            raise NotFound(f"say which tenant: {', '.join(sorted(self._tenants))}", code="no-such-tenant")
        return tenant

    def _servers(self, tenant: str, terms: Terms) -> tuple[EnrollmentServer, ...]:
        return servers_at(
            self._public,
            tenant,
            str(terms.ca),
            kerberos=self._kerberos,
            certificate_renewal=terms.certificate_renewal,
        )

    async def _services(self, forest: str) -> Sequence[EnrollmentService]:
        return await (await self._directory(forest)).enrollment_services(domain=forest)

    async def _directory(self, forest: str) -> Directory:
        """The directory that has a forest; raises NotFound, and Unavailable where a silent one may have it."""
        silent: Unavailable | None = None
        for directory in self._directories:
            try:
                await directory.enrollment_services(domain=forest)
            except NotFound:
                continue
            except Unavailable as error:
                silent = error
            else:
                return directory
        raise silent or NotFound(f"no directory of conf has the domain {forest}", code="no-such-forest")


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if not names:
        raise Conflict("the CA has no common name: say a name")
    return str(names[0].value)
