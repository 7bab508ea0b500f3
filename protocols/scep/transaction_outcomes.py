"""What has become of a request that was kept."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from cspd.authority.approvals import Approvals, ApprovalTerms
from cspd.authority.chains import issued_of
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.authority.values import Issued, Pending
from cspd.store.interfaces import Database
from protocols.scep import transaction_rows as rows
from protocols.scep.interfaces import Terms
from protocols.scep.replacement import Replacement
from protocols.scep.transactions import Transaction


class TransactionOutcomes:
    """Reads the certificate of a transaction, or asks whether there will be one."""

    def __init__(
        self,
        *,
        database: Database,
        authorities: Authorities,
        certificates: CertificateStore,
        approvals: Approvals,
        replacement: Replacement,
    ) -> None:
        self._database = database
        self._authorities = authorities
        self._certificates = certificates
        self._approvals = approvals
        self._replacement = replacement

    async def of(self, transaction: Transaction, terms: Terms) -> Issued | Pending:
        """The certificate, or that somebody still has to approve; raises what the approval was refused for."""
        if transaction.authority_id is not None and transaction.serial is not None:
            record = await self._certificates.find(transaction.authority_id, transaction.serial)
            return issued_of(await self._authorities.by_id(transaction.authority_id), record)
        assert transaction.request_id is not None
        outcome = await self._approvals.outcome(transaction.request_id, approval_terms(terms))
        if isinstance(outcome, Issued):
            await self._note(transaction, terms, outcome)
        return outcome

    async def _note(self, transaction: Transaction, terms: Terms, issued: Issued) -> None:
        authority = await self._authorities.get(terms.ca)

        def note(connection: Connection) -> None:
            rows.note_certificate(connection, transaction, authority.id, issued.serial)

        await self._database.write(note)
        await self._replacement.finish(replace(transaction, authority_id=authority.id, serial=issued.serial))


def approval_terms(terms: Terms) -> ApprovalTerms:
    """How clients wait: those of this protocol choose themselves when they ask again."""
    return ApprovalTerms(retry_after=terms.approval_lifetime, lifetime=terms.approval_lifetime)
