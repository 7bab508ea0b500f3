"""``cspctl ca``: making, showing, renewing and ending CAs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.authority.creation import AuthorityCreation
from cspd.authority.external import ExternalRoots
from cspd.authority.interfaces import Authorities
from cspd.authority.management import AuthorityManagement
from cspd.authority.new_authorities import NewExternalRoot, NewIssuingCA, NewRoot
from cspd.authority.publication import CRLPublication
from cspd.authority.renewal import AuthorityRenewal
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority, CAReference, RevocationReason
from cspd.clock import Clock
from cspd.keys.values import KeyType
from cspd.refusals import BadName, Conflict
from cspd.x509.names import NameSyntaxError, parse_name


class CA(Arguments):
    """Which CA, as ``<organization>~<ca-id>``."""

    ca: str


class CAFilter(Arguments):
    """Which CAs to list."""

    organization: str | None = None


class NewCA(CA):
    """A new root or, with ``issuer``, a new issuing CA."""

    key_type: KeyType
    subject: str
    issuer: str | None = None
    profiles: tuple[str, ...] | None = None
    administrators: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    not_after: datetime | None = None
    ocsp_enabled: bool = True
    ocsp_key_type: KeyType | None = None
    crl_days: int | None = None
    delta_crl_hours: int | None = None
    record_before_signing: bool = False
    key_provider: str | None = None


class CACertificatePEM(CA):
    """A certificate from elsewhere."""

    certificate_pem: str


class CAChanges(CA):
    """What to replace."""

    profiles: tuple[str, ...] | None = None
    administrators: tuple[str, ...] | None = None
    auditors: tuple[str, ...] | None = None


class CARenewal(CA):
    """A new certificate, perhaps for a new key."""

    rekey: bool = False
    key_type: KeyType | None = None
    not_after: datetime | None = None


class CARevocation(CA):
    """Why a CA's certificates are revoked."""

    reason: RevocationReason


class AuthorityOperations:
    """Runs the operations on CAs."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        creation: AuthorityCreation,
        external: ExternalRoots,
        management: AuthorityManagement,
        renewal: AuthorityRenewal,
        publication: CRLPublication,
        urls: StatusURLs,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._creation = creation
        self._external = external
        self._management = management
        self._renewal = renewal
        self._publication = publication
        self._urls = urls

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="ca-create", arguments=NewCA, run=self.create),
            Operation(name="ca-import-root", arguments=CACertificatePEM, run=self.import_root),
            Operation(name="ca-import", arguments=CACertificatePEM, run=self.import_certificate),
            Operation(name="ca-csr", arguments=CA, run=self.csr),
            Operation(name="ca-list", arguments=CAFilter, run=self.list, only_reads=True),
            Operation(name="ca-show", arguments=CA, run=self.show, only_reads=True),
            Operation(name="ca-chain", arguments=CA, run=self.chain, only_reads=True),
            Operation(name="ca-edit", arguments=CAChanges, run=self.edit),
            Operation(name="ca-renew", arguments=CARenewal, run=self.renew),
            Operation(name="ca-crl", arguments=CA, run=self.crl),
            Operation(name="ca-disable", arguments=CA, run=self.disable),
            Operation(name="ca-enable", arguments=CA, run=self.enable),
            Operation(name="ca-revoke", arguments=CARevocation, run=self.revoke),
            Operation(name="ca-delete", arguments=CA, run=self.delete),
        )

    async def create(self, arguments: NewCA, caller: Caller) -> Any:
        """Make a key and a CA; under an external root it waits for its certificate."""
        common: dict[str, Any] = {
            "reference": CAReference.parse(arguments.ca),
            "key_type": arguments.key_type,
            "subject": _name(arguments.subject),
            "administrators": arguments.administrators or (caller.user,),
            "auditors": arguments.auditors,
            "not_after": arguments.not_after,
            "ocsp_enabled": arguments.ocsp_enabled,
            "ocsp_key_type": arguments.ocsp_key_type,
            "crl_days": arguments.crl_days,
            "delta_crl_hours": arguments.delta_crl_hours,
            "record_before_signing": arguments.record_before_signing,
            "key_provider": arguments.key_provider,
        }
        if arguments.issuer is None:
            made = await self._creation.create_root(NewRoot(**common, profiles=arguments.profiles), caller.requester)
        else:
            if arguments.ocsp_enabled and arguments.ocsp_key_type is None:
                common["ocsp_key_type"] = arguments.key_type
            made = await self._creation.create_issuing(
                NewIssuingCA(**common, issuer=arguments.issuer, profiles=arguments.profiles or ()), caller.requester
            )
        return await self._view(made)

    async def import_root(self, arguments: CACertificatePEM, caller: Caller) -> Any:
        """Register a root whose key is elsewhere."""
        new = NewExternalRoot(reference=CAReference.parse(arguments.ca), certificate_pem=arguments.certificate_pem)
        imported = await self._external.import_root(new, caller.requester)
        return {**await self._view(imported.authority), "warnings": list(imported.warnings)}

    async def import_certificate(self, arguments: CACertificatePEM, caller: Caller) -> Any:
        """Take the certificate that an external root signed."""
        reference = CAReference.parse(arguments.ca)
        return await self._view(await self._external.upload(reference, arguments.certificate_pem, caller.requester))

    async def csr(self, arguments: CA, caller: Caller) -> Any:
        """The certificate request for the external root."""
        request_der = await self._external.request(CAReference.parse(arguments.ca), caller.requester)
        request = x509.load_der_x509_csr(request_der)
        return {"ca": arguments.ca, "pem": request.public_bytes(Encoding.PEM).decode()}

    async def list(self, arguments: CAFilter, caller: Caller) -> Any:
        """All CAs, or those of one organization."""
        now = self._clock.now()
        return [views.authority_row(each, now) for each in await self._authorities.list(arguments.organization)]

    async def show(self, arguments: CA, caller: Caller) -> Any:
        """One CA."""
        return await self._view(await self._get(arguments))

    async def chain(self, arguments: CA, caller: Caller) -> Any:
        """The certificates of a CA and its issuers, in PEM."""
        found = await self._get(arguments)
        if found.certificate_der is None:
            raise Conflict(f"{arguments.ca} has no certificate yet")
        return {"ca": arguments.ca, "pem": views.chain_pem((found.certificate_der, *found.chain_der))}

    async def edit(self, arguments: CAChanges, caller: Caller) -> Any:
        """Replace profiles, administrators or auditors."""
        return await self._view(
            await self._management.edit(
                CAReference.parse(arguments.ca),
                caller.requester,
                profiles=arguments.profiles,
                administrators=arguments.administrators,
                auditors=arguments.auditors,
            )
        )

    async def renew(self, arguments: CARenewal, caller: Caller) -> Any:
        """A new certificate for the same key, or a new key too."""
        reference = CAReference.parse(arguments.ca)
        if arguments.rekey:
            renewed = await self._renewal.rekey(
                reference, caller.requester, key_type=arguments.key_type, not_after=arguments.not_after
            )
        else:
            renewed = await self._renewal.renew(reference, caller.requester, not_after=arguments.not_after)
        return await self._view(renewed)

    async def crl(self, arguments: CA, caller: Caller) -> Any:
        """Publish all CRLs of a CA now."""
        return [views.crl(each) for each in await self._publication.publish(await self._get(arguments))]

    async def disable(self, arguments: CA, caller: Caller) -> Any:
        """Stop issuance; status services go on."""
        return await self._view(await self._management.disable(CAReference.parse(arguments.ca), caller.requester))

    async def enable(self, arguments: CA, caller: Caller) -> Any:
        """Let a disabled CA issue again."""
        return await self._view(await self._management.enable(CAReference.parse(arguments.ca), caller.requester))

    async def revoke(self, arguments: CARevocation, caller: Caller) -> Any:
        """Revoke the certificates of an issuing CA through its root, and disable it."""
        reference = CAReference.parse(arguments.ca)
        return await self._view(await self._management.revoke(reference, arguments.reason, caller.requester))

    async def delete(self, arguments: CA, caller: Caller) -> Any:
        """Delete a CA and destroy its keys."""
        await self._management.delete(CAReference.parse(arguments.ca), caller.requester)
        return {"ca": arguments.ca}

    async def _get(self, arguments: CA) -> Authority:
        return await self._authorities.get(CAReference.parse(arguments.ca))

    async def _view(self, authority: Authority) -> dict[str, Any]:
        issuer = None
        if authority.issuer_id is not None:
            issuer = str((await self._authorities.by_id(authority.issuer_id)).reference)
        return views.authority(authority, self._clock.now(), issuer=issuer, urls=self._urls)


def _name(text: str) -> x509.Name:
    try:
        return parse_name(text)
    except NameSyntaxError as error:
        raise BadName(str(error)) from error
