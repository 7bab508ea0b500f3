"""Answers genm: what a client may ask about a CA (RFC 9483, 4.3; RFC 9810, 5.3.19).

::

    caCerts            -> caCerts            the CA's certificates and those above, without the root
    rootCaCert         -> rootCaKeyUpdate    :mod:`protocols.cmp.root_updates`
    caKeyUpdateInfo    -> caKeyUpdateInfo    the same, as older clients ask for it
    certReqTemplate    -> certReqTemplate    :mod:`protocols.cmp.request_template`
    crlStatusList      -> crls               :mod:`protocols.cmp.crl_updates`
    currentCRL         -> currentCRL
    signKeyPairTypes, encKeyPairTypes, keyPairParamReq -> what the profile certifies
    preferredSymmAlg, suppLangTags, caProtEncCert
    anything else      -> unsupportedOIDs

An item whose value is absent in the answer says that there is nothing: no update, no newer CRL, no such key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from cspd.authority.interfaces import Authorities
from cspd.authority.profile_values import Profile
from cspd.authority.values import Authority
from cspd.clock import Clock
from cspd.refusals import Conflict, Malformed, NotFound
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types
from protocols.cmp.crl_updates import CRLUpdates
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.info_types import InfoError
from protocols.cmp.interfaces import Terms
from protocols.cmp.key_algorithms import algorithm_of, encryption_algorithms, ordered, signature_algorithms
from protocols.cmp.messages import InfoTypeAndValue
from protocols.cmp.request_template import request_template
from protocols.cmp.root_updates import RootUpdates
from protocols.cmp.status import PKIFailureInfo

MAX_ITEMS = 12
"""What one message may ask: there are not more questions."""

LANGUAGE = "en"
"""Of all texts for people (RFC 5646)."""

_EVERYTHING = (
    info_types.CA_CERTS,
    info_types.SIGN_KEY_PAIR_TYPES,
    info_types.ENC_KEY_PAIR_TYPES,
    info_types.PREFERRED_SYMM_ALG,
    info_types.CURRENT_CRL,
)


@dataclass(frozen=True, slots=True)
class _Question:
    item: InfoTypeAndValue
    authority: Authority
    profile: Profile


_Answer = Callable[[_Question], Awaitable[InfoTypeAndValue]]


class GeneralMessagesService:
    """Implements :class:`protocols.cmp.interfaces.GeneralMessages`."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        profiles: Mapping[str, Profile],
        root_updates: RootUpdates,
        crl_updates: CRLUpdates,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._profiles = profiles
        self._root_updates = root_updates
        self._crl_updates = crl_updates
        self._with_value: Mapping[str, _Answer] = {
            info_types.ROOT_CA_CERT: self._root_ca_cert,
            info_types.CRL_STATUS_LIST: self._crl_status_list,
            info_types.KEY_PAIR_PARAM_REQ: self._key_pair_param_req,
            info_types.SUPP_LANG_TAGS: self._supp_lang_tags,
        }
        self._without_value: Mapping[str, _Answer] = {
            info_types.CA_CERTS: self._ca_certs,
            info_types.CA_KEY_UPDATE_INFO: self._ca_key_update_info,
            info_types.CERT_REQ_TEMPLATE: self._cert_req_template,
            info_types.CURRENT_CRL: self._current_crl,
            info_types.SIGN_KEY_PAIR_TYPES: self._sign_key_pair_types,
            info_types.ENC_KEY_PAIR_TYPES: self._enc_key_pair_types,
            info_types.PREFERRED_SYMM_ALG: self._preferred_symm_alg,
            info_types.CA_PROT_ENC_CERT: self._ca_prot_enc_cert,
        }

    async def answer(self, items: Sequence[InfoTypeAndValue], terms: Terms) -> tuple[InfoTypeAndValue, ...]:
        """See :class:`protocols.cmp.interfaces.GeneralMessages`; no items at all ask for whatever we like to say.

        badRequest for more than :data:`MAX_ITEMS` and for a question twice, badDataFormat for a value that is not what
        the question has.
        """
        types = [each.info_type for each in items]
        if len(types) > MAX_ITEMS or len(set(types)) < len(types):
            reason = f"a genm asks up to {MAX_ITEMS} different questions"
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, reason)
        authority = await self._authorities.get(terms.ca)
        profile = self._profile(terms, authority)
        answers: list[InfoTypeAndValue] = []
        unsupported: list[str] = []
        for item in items or [InfoTypeAndValue(each) for each in _EVERYTHING]:
            if (answer := self._answer_to(item)) is None:
                unsupported.append(item.info_type)
                continue
            try:
                answers.append(await answer(_Question(item, authority, profile)))
            except InfoError as error:
                raise Malformed(str(error)) from error
        if unsupported:
            answers.append(info_types.unsupported_oids(unsupported))
        return tuple(answers)

    def _answer_to(self, item: InfoTypeAndValue) -> _Answer | None:
        answer = self._without_value.get(item.info_type)
        if answer is not None and item.info_value_der:
            raise Malformed(f"{item.info_type} is asked without a value")
        return answer or self._with_value.get(item.info_type)

    def _profile(self, terms: Terms, authority: Authority) -> Profile:
        profile = self._profiles.get(terms.profile)
        if profile is None or terms.profile not in authority.profiles:
            raise Conflict(f"{terms.ca} does not issue by the profile {terms.profile}")
        return profile

    async def _ca_certs(self, asked: _Question) -> InfoTypeAndValue:
        """Also those of the CA's earlier keys: what they signed is still around."""
        now, authority = self._clock.now(), asked.authority
        own = [] if authority.certificate_der is None else [authority.certificate_der]
        earlier = (each.certificate_der for each in authority.previous if each.not_after > now)
        found = dict.fromkeys((*own, *(each for each in authority.chain_der if not _is_self_signed(each)), *earlier))
        return info_types.structures(asked.item.info_type, found) if found else InfoTypeAndValue(asked.item.info_type)

    async def _root_ca_cert(self, asked: _Question) -> InfoTypeAndValue:
        root_der = info_types.read_one_structure(asked.item) if asked.item.info_value_der else b""
        update = await self._root_updates.update(asked.authority, root_der)
        if update is None:
            return InfoTypeAndValue(info_types.ROOT_CA_KEY_UPDATE)
        return info_types.root_ca_key_update(update)

    async def _ca_key_update_info(self, asked: _Question) -> InfoTypeAndValue:
        """CAKeyUpdAnnContent of RFC 4210 needs all three certificates (5.3.13)."""
        update = await self._root_updates.update(asked.authority, b"")
        if update is None or not update.old_with_new_der or not update.new_with_old_der:
            return InfoTypeAndValue(asked.item.info_type)
        certificates = (update.old_with_new_der, update.new_with_old_der, update.new_with_new_der)
        return info_types.structures(asked.item.info_type, certificates)

    async def _cert_req_template(self, asked: _Question) -> InfoTypeAndValue:
        return info_types.cert_req_template(request_template(asked.profile))

    async def _crl_status_list(self, asked: _Question) -> InfoTypeAndValue:
        crls = await self._crl_updates.newer(asked.authority, info_types.read_crl_status_list(asked.item))
        return info_types.structures(info_types.CRLS, crls) if crls else InfoTypeAndValue(info_types.CRLS)

    async def _current_crl(self, asked: _Question) -> InfoTypeAndValue:
        try:
            return InfoTypeAndValue(asked.item.info_type, await self._crl_updates.current(asked.authority))
        except NotFound:
            return InfoTypeAndValue(asked.item.info_type)

    async def _sign_key_pair_types(self, asked: _Question) -> InfoTypeAndValue:
        return _list(asked.item.info_type, signature_algorithms(asked.profile))

    async def _enc_key_pair_types(self, asked: _Question) -> InfoTypeAndValue:
        return _list(asked.item.info_type, encryption_algorithms(asked.profile))

    async def _preferred_symm_alg(self, asked: _Question) -> InfoTypeAndValue:
        """The cipher of our own EnvelopedData; its parameters are for who encrypts to choose."""
        return info_types.algorithm(asked.item.info_type, Algorithm(ContentCipher.AES_256_CBC.value))

    async def _ca_prot_enc_cert(self, asked: _Question) -> InfoTypeAndValue:
        """The keys of our CAs sign and do nothing else: nothing can be encrypted for them."""
        return InfoTypeAndValue(asked.item.info_type)

    async def _key_pair_param_req(self, asked: _Question) -> InfoTypeAndValue:
        wanted = info_types.read_key_pair_param_req(asked.item)
        for algorithm in (algorithm_of(each) for each in ordered(asked.profile)):
            if algorithm.oid == wanted:
                return info_types.algorithm(info_types.KEY_PAIR_PARAM_REP, algorithm)
        return InfoTypeAndValue(info_types.KEY_PAIR_PARAM_REP)

    async def _supp_lang_tags(self, asked: _Question) -> InfoTypeAndValue:
        info_types.read_texts(asked.item)
        return info_types.texts(asked.item.info_type, [LANGUAGE])


def _list(info_type: str, algorithms: Sequence[Algorithm]) -> InfoTypeAndValue:
    return info_types.algorithms(info_type, algorithms) if algorithms else InfoTypeAndValue(info_type)


def _is_self_signed(certificate_der: bytes) -> bool:
    certificate = x509.load_der_x509_certificate(certificate_der)
    return certificate.subject == certificate.issuer
