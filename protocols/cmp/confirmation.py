"""What a client says of the certificates it got: certConf, and error (RFC 9810, 5.3.18; RFC 9483, 4.1.1 and 3.6)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.interfaces import CertificateStore
from cspd.store.interfaces import Database
from cspd.x509.signatures import SignatureError, hash_of
from protocols.cmp import transaction_rows as rows
from protocols.cmp.certificate_requests import P10CR_ID
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.messages import BodyType, CertConfirmContent, CertStatus, PKIBody, PKIConfirmContent
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from protocols.cmp.transactions import CertifiedRequest, Transaction, TransactionState
from protocols.cmp.turns import Answer, Turn
from protocols.cmp.unconfirmed import Unconfirmed

PKI_CONFIRM = PKIBody(BodyType.PKI_CONF, PKIConfirmContent())
_HASHES_OF_SIGNATURES: Mapping[str, hashes.HashAlgorithm] = {
    "1.3.101.112": hashes.SHA512(),  # Ed25519 (RFC 9481, 3.3)
    "1.3.101.113": hashes.SHAKE256(64),  # Ed448
}


class Confirmation:
    """Answers certConf and error."""

    def __init__(self, *, database: Database, certificates: CertificateStore, unconfirmed: Unconfirmed) -> None:
        self._database = database
        self._certificates = certificates
        self._unconfirmed = unconfirmed

    async def confirm(self, turn: Turn, transaction: Transaction) -> Answer:
        """Accept, or revoke, each certificate as the client says; what it does not mention it does not want.

        Raises ``badCertId`` for the hash of another certificate, which ends the transaction: all are revoked.
        """
        content = turn.message.body.content
        assert isinstance(content, CertConfirmContent)
        _check_state(transaction)
        statuses = {_cert_req_id(each, transaction): each for each in content.statuses}
        if len(statuses) != len(content.statuses) or not set(statuses) <= {
            each.cert_req_id for each in transaction.issued
        }:
            raise PKIMessageRejected(
                PKIFailureInfo.BAD_REQUEST, "certConf is for certificates of this transaction, each once"
            )
        accepted = {
            each.cert_req_id: await self._accepts(statuses.get(each.cert_req_id), each) for each in transaction.issued
        }
        wrong_hash = any(each is None for each in accepted.values())
        requests = tuple(
            replace(each, accepted=not wrong_hash and bool(accepted.get(each.cert_req_id, False)))
            for each in transaction.requests
        )
        if wrong_hash:  # the same message again is answered by what is then the state
            await self._end(None, transaction, requests)
            raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_ID, "certHash is of another certificate")
        await self._end(turn, transaction, requests)
        return Answer(body=PKI_CONFIRM)

    async def error(self, turn: Turn, transaction: Transaction) -> Answer:
        """The client ends the transaction; what it did not confirm is revoked."""
        requests = transaction.requests
        if transaction.state is TransactionState.WAITING:
            requests = await self._unconfirmed.give_up(transaction, turn.requester)
        elif transaction.state not in (TransactionState.ISSUED, TransactionState.CHALLENGED):
            return Answer(body=PKI_CONFIRM)
        await self._end(turn, transaction, tuple(replace(each, accepted=False) for each in requests))
        return Answer(body=PKI_CONFIRM)

    async def _end(self, turn: Turn | None, transaction: Transaction, requests: tuple[CertifiedRequest, ...]) -> None:
        """End the transaction; the answer to ``turn``, if one is given, can be repeated."""
        wanted = [each.accepted for each in requests if each.serial is not None]
        following = replace(
            transaction,
            state=TransactionState.CONFIRMED if wanted and all(wanted) else TransactionState.REVOKING,
            requests=requests,
            sender_nonce=transaction.sender_nonce if turn is None else turn.sender_nonce,
            request_digest=transaction.request_digest if turn is None else turn.digest,
        )
        if not await self._database.write(lambda connection: rows.move(connection, transaction, following)):
            raise PKIMessageRejected(PKIFailureInfo.BAD_RECIPIENT_NONCE, "another message has gone on meanwhile")
        if following.state is TransactionState.REVOKING:
            await self._unconfirmed.finish(following)
        else:
            await self._unconfirmed.replaced(following)

    async def _accepts(self, status: CertStatus | None, request: CertifiedRequest) -> bool | None:
        """Whether the client wants the certificate; None if what it has is another one."""
        if status is None or (
            status.status_info is not None
            and status.status_info.status not in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)
        ):
            return False
        assert request.authority_id is not None
        assert request.serial is not None
        record = await self._certificates.find(request.authority_id, request.serial)
        assert record.certificate_der is not None
        certificate = x509.load_der_x509_certificate(record.certificate_der)
        expected = _digest(certificate, _hash_for(status, certificate))
        return True if hmac.compare_digest(status.cert_hash, expected) else None


def _cert_req_id(status: CertStatus, transaction: Transaction) -> int:
    """Which certificate is meant. After a p10cr openssl says -1, as the answer did, and Siemens' test suite 0."""
    return P10CR_ID if transaction.body_type is BodyType.P10CR and status.cert_req_id == 0 else status.cert_req_id


def _check_state(transaction: Transaction) -> None:
    match transaction.state:
        case TransactionState.ISSUED:
            return
        case TransactionState.CONFIRMED:
            raise PKIMessageRejected(PKIFailureInfo.CERT_CONFIRMED, "the certificates are confirmed already")
        case TransactionState.WAITING | TransactionState.CHALLENGED:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "there is nothing to confirm yet")
    raise PKIMessageRejected(PKIFailureInfo.CERT_REVOKED, "the certificates were not confirmed in time, or not wanted")


def _hash_for(status: CertStatus, certificate: x509.Certificate) -> hashes.HashAlgorithm:
    """hashAlg, or else the hash of the certificate's signature (RFC 9810, 5.3.18)."""
    if status.hash_alg is not None:
        try:
            algorithm = hash_of(status.hash_alg.oid)
        except SignatureError as error:
            raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, "hashAlg is not known here") from error
        if isinstance(algorithm, hashes.SHA1):
            raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, "hashAlg: SHA-1 is refused")
        return algorithm
    oid = certificate.signature_algorithm_oid.dotted_string
    if oid in _HASHES_OF_SIGNATURES:
        return _HASHES_OF_SIGNATURES[oid]
    try:
        of_signature = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        of_signature = None
    if of_signature is None:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_ALG, "the signature of the certificate has no hash of its own: say hashAlg"
        )
    return of_signature


def _digest(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(Encoding.DER))
    return digest.finalize()
