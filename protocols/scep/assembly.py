"""Puts the parts of SCEP together."""

from __future__ import annotations

from dataclasses import dataclass

from cspd.authentication.certificates import ClientCertificates
from cspd.plugin import Services
from protocols.scep.ca_information import CAInformation
from protocols.scep.certificate_queries import CertificateQueries
from protocols.scep.config import SCEPConfig
from protocols.scep.decryption import InThread
from protocols.scep.enrollment import Enrollment
from protocols.scep.interfaces import RegistrationAuthorities
from protocols.scep.limits import Limits
from protocols.scep.polling import Polling
from protocols.scep.replacement import Replacement
from protocols.scep.service import SCEPService
from protocols.scep.signers import Signers
from protocols.scep.transaction_outcomes import TransactionOutcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What serves messages and questions, and what revokes replaced certificates."""

    service: SCEPService
    information: CAInformation
    replacement: Replacement
    limits: Limits


def assemble(
    configuration: SCEPConfig,
    services: Services,
    *,
    registration_authorities: RegistrationAuthorities,
    in_thread: InThread,
) -> Assembled:
    """The service of ``[protocols.scep]``; ``in_thread`` runs encryption with passwords."""
    limits = Limits(message_octets=configuration.max_message_bytes)
    replacement = Replacement(
        clock=services.clock,
        database=services.database,
        authorities=services.authorities,
        revocation=services.revocation,
    )
    outcomes = TransactionOutcomes(
        database=services.database,
        authorities=services.authorities,
        certificates=services.certificates,
        approvals=services.approvals,
        replacement=replacement,
    )
    enrollment = Enrollment(
        clock=services.clock,
        database=services.database,
        issuance=services.issuance,
        approvals=services.approvals,
        signers=Signers(
            clock=services.clock,
            authorities=services.authorities,
            client_certificates=ClientCertificates(certificates=services.certificates, status=services.status),
        ),
        outcomes=outcomes,
        replacement=replacement,
        transaction_lifetime=configuration.transaction_lifetime,
    )
    service = SCEPService(
        clock=services.clock,
        random=services.random,
        registration_authorities=registration_authorities,
        enrollment=enrollment,
        polling=Polling(clock=services.clock, database=services.database, outcomes=outcomes),
        queries=CertificateQueries(
            authorities=services.authorities, certificates=services.certificates, publication=services.publication
        ),
        in_thread=in_thread,
        limits=limits,
        time_tolerance=configuration.time_tolerance,
    )
    information = CAInformation(authorities=services.authorities, registration_authorities=registration_authorities)
    return Assembled(service=service, information=information, replacement=replacement, limits=limits)
