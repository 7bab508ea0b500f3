"""What the web service does with a message, whether it came as SOAP or as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authentication.basic import Credentials
from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.interfaces import Authorities
from cspd.authority.profile_values import IssuanceMode
from cspd.digital_ids.service import DigitalIDs
from cspd.refusals import Conflict, NotFound, Unauthorized
from cspd.x509.names import format_name
from protocols.mdm.errors import CREDENTIALS_NEEDED
from protocols.mdm.held_certificates import HeldCertificates
from protocols.mdm.messages import (
    PROTOCOL,
    CACertificates,
    Caller,
    CreateChallenge,
    DigitalIDDescription,
    DigitalIDList,
    FindCertificates,
    GetCACertificates,
    GetCertificate,
    HoldCertificate,
    IssueCertificate,
    IssuePKCS12,
    ListDigitalIDs,
    ReleaseCertificate,
    RevokeCertificate,
)
from protocols.mdm.orders import Orders

_MAX_USER = 128


class MDMService:
    """Authenticates, and answers messages."""

    def __init__(
        self,
        *,
        users: PasswordCheck,
        audit: AuditLog,
        tenants: frozenset[str],
        digital_ids: DigitalIDs,
        authorities: Authorities,
        orders: Orders,
        held: HeldCertificates,
    ) -> None:
        self._users = users
        self._audit = audit
        self._tenants = tenants
        self._digital_ids = digital_ids
        self._authorities = authorities
        self._answers: Mapping[type, Callable[[Any, Caller], Awaitable[Any]]] = {
            ListDigitalIDs: self._list_digital_ids,
            GetCACertificates: self._ca_certificates,
            CreateChallenge: orders.create_challenge,
            IssuePKCS12: orders.issue_pkcs12,
            IssueCertificate: orders.issue_certificate,
            FindCertificates: held.find,
            GetCertificate: held.get,
            RevokeCertificate: held.revoke,
            HoldCertificate: held.hold,
            ReleaseCertificate: held.release,
        }

    def check_tenant(self, tenant: str) -> None:
        """Raise NotFound for a tenant that is not served."""
        if tenant not in self._tenants:
            raise NotFound("there is no such tenant", code="no-such-tenant")

    async def authenticate(
        self, credentials: Credentials | None, *, tenant: str, address: str, request_id: str
    ) -> Caller:
        """Who calls (R-CEG-084); raises Unauthorized, which is audited unless nothing was sent, and NotFound."""
        if credentials is None:
            raise Unauthorized("user name and password are needed", code=CREDENTIALS_NEEDED)
        try:
            identity = await self._users.check(credentials.user, credentials.password)
        except Unauthorized:
            await self._audit.record(
                AuditEvent(
                    event="mdm-user-refused",
                    actor=f"{PROTOCOL}:{credentials.user[:_MAX_USER]}",
                    outcome=Outcome.REFUSED,
                    fields={"tenant": tenant[:_MAX_USER], "address": address, "request_id": request_id},
                )
            )
            raise
        self.check_tenant(tenant)
        return Caller(tenant=tenant, user=identity.name, address=address, request_id=request_id)

    async def answer(self, message: Any, caller: Caller) -> Any:
        """The answer to one of :data:`protocols.mdm.messages.OPERATIONS`; raises a Refused."""
        return await self._answers[type(message)](message, caller)

    async def _list_digital_ids(self, message: ListDigitalIDs, caller: Caller) -> DigitalIDList:
        return DigitalIDList(
            digital_ids=tuple(
                DigitalIDDescription(
                    name=each.name,
                    ca=str(each.ca),
                    profile=each.profile,
                    rdn_format=each.rdn_format.text,
                    variables=each.rdn_format.variables,
                    parent_dn=format_name(each.parent),
                    allows_pkcs12=IssuanceMode.P12 in self._digital_ids.profile_of(each).modes,
                )
                for each in self._digital_ids.configured.values()
            )
        )

    async def _ca_certificates(self, message: GetCACertificates, caller: Caller) -> CACertificates:
        authority = await self._authorities.get(self._digital_ids.get(message.digital_id).ca)
        if authority.certificate_der is None:
            raise Conflict("the CA of the digital ID has no certificate yet", code="ca-not-active")
        return CACertificates(
            certificates=(authority.certificate_der, *authority.chain_der),
            ca_fingerprint=sha256(authority.certificate_der).hexdigest(),
        )
