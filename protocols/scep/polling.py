"""Answers a CertPoll, called GetCertInitial in the drafts (RFC 8894, 3.3.3): what has become of a request."""

from __future__ import annotations

from cryptography import x509

from cspd.authority.values import Issued, Pending
from cspd.clock import Clock
from cspd.store.interfaces import Database
from cspd.x509.certificate_fields import fields_of
from protocols.scep import transaction_rows as rows
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.exchanges import Exchange
from protocols.scep.messages import FailInfo, IssuerAndSubject
from protocols.scep.transaction_outcomes import TransactionOutcomes
from protocols.scep.transactions import client_of


class Polling:
    """Finds the request that a client asks about by its transactionID, its key and its names."""

    def __init__(self, *, clock: Clock, database: Database, outcomes: TransactionOutcomes) -> None:
        self._clock = clock
        self._database = database
        self._outcomes = outcomes

    async def poll(self, exchange: Exchange) -> Issued | Pending:
        """The certificate, or that it still waits; raises PKIMessageRefused, badCertId for what is not known."""
        assert isinstance(exchange.data, IssuerAndSubject)
        endpoint, transaction_id, now = exchange.address.endpoint, exchange.message.transaction_id, self._clock.now()
        found = await self._database.read(lambda connection: rows.find(connection, endpoint, transaction_id, now))
        if (
            found is None
            or found.client != client_of(exchange.signer)
            or not _is_same_name(found.subject_der, exchange.data.subject_der)
            or not _is_issuer(exchange, exchange.data.issuer_der)
        ):
            raise PKIMessageRefused(FailInfo.BAD_CERT_ID, "there is no such request of yours")
        return await self._outcomes.of(found, exchange.terms)


def _is_issuer(exchange: Exchange, issuer_der: bytes) -> bool:
    """The CA, or who speaks for it: ``pki --scep`` of strongSwan names the registration authority."""
    known = exchange.registration_authority.certificates_der
    return any(_is_same_name(fields_of(each).subject, issuer_der) for each in known)


def _is_same_name(first_der: bytes, second_der: bytes) -> bool:
    """Whether two Names, DER, are equal, whichever string types they are encoded with."""
    if first_der == second_der:
        return True
    try:
        first, second = x509.Name.from_bytes(first_der), x509.Name.from_bytes(second_der)
    except ValueError:
        return False
    return [[(each.oid, each.value) for each in rdn] for rdn in first.rdns] == [
        [(each.oid, each.value) for each in rdn] for rdn in second.rdns
    ]
