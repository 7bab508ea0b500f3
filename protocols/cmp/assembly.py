"""Puts the parts of CMP together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cspd.authentication.certificates import ClientCertificates, TrustAnchors
from cspd.authority.client_keys import ClientKeys
from cspd.authority.key_links import KeyLinks
from cspd.authority.urls import StatusURLs
from cspd.keys.threads import SigningPool
from cspd.plugin import Services
from cspd.refusals import NotFound
from protocols.cmp.algorithm_rules import AlgorithmRules
from protocols.cmp.answer_protection import ProtectedAnswers
from protocols.cmp.central_keys import ServerMadeKeys
from protocols.cmp.certificate_answers import CertificateAnswers
from protocols.cmp.certificate_requests import CertificateRequests
from protocols.cmp.certification import Certification, TransactionRules
from protocols.cmp.challenges import Challenges
from protocols.cmp.config import CMPConfig
from protocols.cmp.confirmation import Confirmation
from protocols.cmp.crl_updates import CRLUpdates
from protocols.cmp.cross_certification import CrossCertificationService
from protocols.cmp.encrypted_certificates import CertificatesForKeys
from protocols.cmp.general_messages import GeneralMessagesService
from protocols.cmp.key_generation_authorities import KeyGenerationAuthorities
from protocols.cmp.limits import Limits
from protocols.cmp.mac_keys import MACKeys
from protocols.cmp.metrics import AnsweredMessages
from protocols.cmp.policies import Policies
from protocols.cmp.polling import Polling
from protocols.cmp.possession import Possession
from protocols.cmp.registration_authorities import RegistrationAuthorities, RegistrationAuthority
from protocols.cmp.revocation_requests import RevocationRequestsService
from protocols.cmp.root_updates import RootUpdates
from protocols.cmp.senders import VerifiedSenders
from protocols.cmp.service import CMPService
from protocols.cmp.trust import BadTrust, read_anchors
from protocols.cmp.unconfirmed import Unconfirmed

_NO_SECRET_OCTETS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What serves messages, and what revokes when its time has come."""

    service: CMPService
    unconfirmed: Unconfirmed
    answered: AnsweredMessages


def assemble(
    configuration: CMPConfig,
    services: Services,
    *,
    macs: SigningPool,
    keys: SigningPool,
    key_generation_authorities: KeyGenerationAuthorities,
) -> Assembled:
    """The service of ``[protocols.cmp]``; ``macs`` runs derivations of keys of MACs, ``keys`` makes keys for clients.

    Raises NotFound for trust anchors that cannot be read.
    """
    rules = configuration.rules_by_name()
    mac_keys = MACKeys(macs, rules)
    limits = Limits(message_octets=configuration.max_message_bytes, requests=configuration.max_requests)
    answered = AnsweredMessages()
    policies = Policies(configuration, services.authorities)
    encrypted_certificates = CertificatesForKeys(random_bytes=services.random.randbytes)
    unconfirmed = Unconfirmed(
        clock=services.clock,
        database=services.database,
        authorities=services.authorities,
        revocation=services.revocation,
        approvals=services.approvals,
    )
    answers = CertificateAnswers(
        authorities=services.authorities,
        certificates=services.certificates,
        approvals=services.approvals,
        encrypted_certificates=encrypted_certificates,
    )
    client_keys = ClientKeys(keys=services.keys, random_bytes=services.random.randbytes, pool=keys)
    requests = CertificateRequests(
        authorities=services.authorities,
        certificates=services.certificates,
        possession=Possession(encrypted_certificates=encrypted_certificates, derive=mac_keys.derive),
        central_keys=ServerMadeKeys(
            authorities=services.authorities,
            profiles=services.profiles,
            client_keys=client_keys,
            key_generation_authorities=key_generation_authorities,
        ),
        rules=rules,
        profiles=services.profiles,
    )
    service = CMPService(
        clock=services.clock,
        random=services.random,
        database=services.database,
        senders=_senders(configuration, services, mac_keys, rules),
        protection=ProtectedAnswers(authorities=services.authorities, keys=services.keys),
        certification=Certification(
            clock=services.clock,
            database=services.database,
            issuance=services.issuance,
            approvals=services.approvals,
            secrets=services.enrollment_secrets,
            requests=requests,
            answers=answers,
            challenges=Challenges(
                clock=services.clock,
                random_bytes=services.random.randbytes,
                database=services.database,
                authorities=services.authorities,
                encrypted=encrypted_certificates,
                limits=limits,
                max_transactions=configuration.max_transactions,
            ),
            unconfirmed=unconfirmed,
            rules=TransactionRules(lifetime=configuration.transaction_lifetime, limit=configuration.max_transactions),
        ),
        confirmation=Confirmation(
            database=services.database, certificates=services.certificates, unconfirmed=unconfirmed
        ),
        polling=Polling(
            clock=services.clock,
            database=services.database,
            authorities=services.authorities,
            approvals=services.approvals,
            answers=answers,
        ),
        revocation_requests=RevocationRequestsService(
            authorities=services.authorities,
            certificates=services.certificates,
            revocation=services.revocation,
            profiles=services.profiles,
        ),
        general_messages=_general_messages(services),
        cross_certification=CrossCertificationService(
            authorities=services.authorities,
            issuance=services.issuance,
            profiles=services.profiles,
            secrets=services.enrollment_secrets,
        ),
        policy_of=policies.policy_of,
        choose_profile=policies.choose_profile,
        answered=answered,
        limits=limits,
    )
    return Assembled(service=service, unconfirmed=unconfirmed, answered=answered)


def _senders(
    configuration: CMPConfig, services: Services, mac_keys: MACKeys, rules: Mapping[str, AlgorithmRules]
) -> VerifiedSenders:
    try:
        trust = {each.name: TrustAnchors(read_anchors(services.folder / each.anchors)) for each in configuration.trust}
    except BadTrust as error:
        raise NotFound(f"trust: {error}") from error
    return VerifiedSenders(
        clock=services.clock,
        authorities=services.authorities,
        secrets=services.enrollment_secrets,
        mac_keys=mac_keys,
        certificates=ClientCertificates(certificates=services.certificates, status=services.status),
        rules=rules,
        trust=trust,
        registration_authorities=RegistrationAuthorities(
            [RegistrationAuthority.configured(each, trust) for each in configuration.registration_authorities]
        ),
        no_secret=services.random.randbytes(_NO_SECRET_OCTETS),
    )


def _general_messages(services: Services) -> GeneralMessagesService:
    return GeneralMessagesService(
        clock=services.clock,
        authorities=services.authorities,
        profiles=services.profiles,
        root_updates=RootUpdates(
            authorities=services.authorities, key_links=KeyLinks(clock=services.clock, database=services.database)
        ),
        crl_updates=CRLUpdates(
            authorities=services.authorities,
            publication=services.publication,
            urls=StatusURLs(services.public.http),
        ),
    )
