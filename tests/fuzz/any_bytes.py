"""What must hold whatever the bytes are, codec by codec: a value that comes back the same, or the codec's own error.

Each function takes any bytes and returns, or raises what is a finding. They are what hypothesis tries in the tests of
this folder, and what :mod:`tests.fuzz.coverage` tries for as long as it is given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from cspd.authentication.basic import decode_authorization
from cspd.authority.values import CAReference
from cspd.http.soap import SOAPFault, read_envelope
from cspd.refusals import Malformed, Refused
from cspd.x509 import der, tlv
from cspd.x509.ber import to_der
from cspd.x509.cmc.codec import decode_pki_data, decode_pki_response, encode_pki_data, encode_pki_response
from cspd.x509.cmc.identity_proof import IdentityProofAlgorithmError, is_proved
from cspd.x509.cmc.messages import CMCError, IdentityProofV2, PKIData
from cspd.x509.cms.enveloped import read_enveloped_data
from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data, verify_signer
from cspd.x509.cms.values import CMSError
from cspd.x509.crmf.decoding import decode_cert_req_messages
from cspd.x509.crmf.encoding import encode_cert_req_messages
from cspd.x509.crmf.messages import CertReqMessages, CRMFError
from cspd.x509.crmf.possession import ProofOfPossessionError, verify_signature_popo
from cspd.x509.csr import CSRError, parse_csr
from cspd.x509.general_names import describe
from cspd.x509.names import format_name
from cspd.x509.public_keys import PublicKeyError
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types
from protocols.cmp.codec import DecodeError, decode, decode_header, encode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import (
    PreviousAnswer,
    check_first,
    check_follow_up,
    check_signer,
    protection_certificate,
)
from protocols.cmp.mac_algorithms import (
    DEFAULT_MAC_POLICY,
    MAX_SALT_OCTETS,
    PASSWORD_BASED_MAC,
    PBMAC1,
    PBMAC1MAC,
    MACPolicy,
    PasswordBasedMAC,
    read_mac_algorithm,
)
from protocols.cmp.messages import (
    CertReqContent,
    InfoTypeAndValue,
    NestedMessageContent,
    PKIMessage,
    RevRepContent,
    RevReqContent,
)
from protocols.cmp.protection import ProtectionKind, protection_kind, verify_mac, verify_message_signature
from protocols.est.cmc_errors import CMCFailure
from protocols.est.cmc_requests import ReadRequest, read_tagged_request
from protocols.est.codec import decode_request, decode_revocation_form
from protocols.mdm.codec import decode_json
from protocols.mdm.messages import OPERATIONS
from protocols.scep import errors as scep_errors
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.capabilities import decode_capabilities, encode_capabilities
from protocols.scep.codec import decode as decode_pki_message
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import CertsOnly, MessageData, MessageType
from protocols.scep.one_time_challenges import read_challenge
from protocols.scep.transport import decode_message_parameter
from protocols.scep.verification import verify as verify_pki_message
from protocols.scep.webhook import read_event

AnyBytes = Callable[[bytes], None]

SECRET: Final = b"corpus-password"
NOW: Final = datetime(2026, 11, 25, 0, 10, 30, tzinfo=UTC)
FEW_ITERATIONS: Final = MACPolicy(min_iterations=1, max_iterations=1000)
_CA = CAReference("demo", "issuing")
_PREVIOUS = PreviousAnswer(bytes(16), bytes(16), ProtectionKind.SIGNATURE)


def est_body(data: bytes) -> None:
    """The body of simpleenroll and of revoke, and an Authorization header."""
    with suppress(Malformed):
        request_der = decode_request(data)
        if request_der.startswith(b"\x30"):  # base64 of anything else may begin with "0", as DER does
            assert decode_request(base64.b64encode(request_der)) == request_der
        with suppress(CSRError, PublicKeyError):
            request = parse_csr(request_der)
            assert format_name(request.subject).isprintable()
            assert all(describe(name).isprintable() for name in request.subject_alt_names)
    with suppress(Malformed):
        assert decode_revocation_form(data).reason.isascii()
    with suppress(Malformed):
        decode_authorization(data.decode("latin-1"))
    with suppress(Malformed):
        decode_authorization("Basic " + base64.b64encode(data).decode("ascii"))


def ber_element(data: bytes) -> None:
    """BER made DER, which is DER and stays as it is; and what is DER before."""
    with suppress(tlv.DERError):
        written = to_der(data, limit=1 << 20)
        assert to_der(written, limit=1 << 20) == written
    with suppress(der.DERError):
        der.check_encoding(data)
        with suppress(tlv.DERError):
            assert to_der(data, limit=1 << 20) == data


def cms_message(data: bytes) -> None:
    """A SignedData with whatever signed it, and an EnvelopedData."""
    with suppress(CMSError):
        signed = read_signed_data(data)
        certificates = certificates_of(signed)
        for signer in signed.signers:
            with suppress(CMSError):
                certificate = find_certificate(signer, certificates)
                verify_signer(
                    signer, certificate.public_key(), content_type=signed.content_type, content=signed.content or b""
                )
        if signed.content is not None:
            cmc_content(signed.content)
    with suppress(CMSError):
        enveloped = read_enveloped_data(data)
        enveloped.decrypt(bytes(enveloped.cipher.key_octets))


def cmc_content(data: bytes) -> None:
    """A PKIData with its requests, and a PKIResponse."""
    with suppress(CMCError):
        message = decode_pki_data(data)
        written = encode_pki_data(message)
        assert decode_pki_data(written) == message
        assert message.req_sequence_der in data
        for tagged in message.req_sequence:
            with suppress(Refused, CMCFailure):
                read = read_tagged_request(tagged, _CA, "tls-client")
                if isinstance(read, ReadRequest):
                    read.check_possession(None)
        _prove_identity(message)
    with suppress(CMCError):
        response = decode_pki_response(data)
        assert decode_pki_response(encode_pki_response(response)) == response


def _prove_identity(message: PKIData) -> None:
    for control in message.control_sequence:
        if isinstance(control.value, IdentityProofV2):
            with suppress(IdentityProofAlgorithmError):
                is_proved(control.value, SECRET, message.req_sequence_der)


def crmf_messages(data: bytes) -> None:
    """CertReqMessages and their proofs of possession."""
    with suppress(CRMFError):
        messages = decode_cert_req_messages(data)
        written = encode_cert_req_messages(messages)
        assert decode_cert_req_messages(written) == messages
        assert _has_free_times(messages) or written == data
        for each in messages:
            with suppress(ProofOfPossessionError, PublicKeyError):
                verify_signature_popo(each)


def _has_free_times(messages: CertReqMessages) -> bool:
    """Whether there are times, which clients write by either type where DER has one."""
    return any(each.cert_req.cert_template.validity is not None for each in messages)


def cmp_message(data: bytes) -> None:
    """A PKIMessage, and everything that is asked of one before anybody knows who sent it."""
    decode_header(data)
    with suppress(DecodeError):
        message = decode(data)
        written = encode(message)
        assert decode(written) == message
        assert has_crmf(message) or written == data
        cmp_rules(message)


def has_crmf(message: PKIMessage) -> bool:
    """Whether there are values of RFC 4211, which may come out in another spelling of the same."""
    content = message.body.content
    if isinstance(content, NestedMessageContent):
        return any(map(has_crmf, content.messages))
    return isinstance(content, CertReqContent | RevReqContent | RevRepContent)


def cmp_rules(message: PKIMessage) -> None:
    """The rules of the header, items of information, and the protection with whatever the message names for it."""
    for info in (*message.header.general_info, *(getattr(message.body.content, "items", ()))):
        info_value(info.info_value_der)
    with suppress(PKIMessageRejected):
        check_follow_up(message, NOW, _PREVIOUS)
    with suppress(PKIMessageRejected):
        check_first(message, NOW)
    with suppress(PKIMessageRejected):
        certificate = protection_certificate(message)
        check_signer(message.header, certificate)
        verify_message_signature(message, certificate)
    with suppress(PKIMessageRejected):
        algorithm = message.header.protection_alg
        if algorithm is not None and protection_kind(message.header) is ProtectionKind.MAC:
            verify_mac(message, read_mac_algorithm(algorithm, FEW_ITERATIONS).derive(SECRET))
    if isinstance(message.body.content, NestedMessageContent):
        for inner in message.body.content.messages:
            cmp_rules(inner)


_INFO_READERS: tuple[Callable[[InfoTypeAndValue], object], ...] = (
    info_types.read_confirm_wait_time,
    info_types.read_texts,
    info_types.read_structures,
    info_types.read_one_structure,
    info_types.read_algorithms,
    info_types.read_one_algorithm,
    info_types.read_key_pair_param_req,
    info_types.read_unsupported_oids,
    info_types.read_root_ca_key_update,
    info_types.read_cert_req_template,
    info_types.read_crl_status_list,
)
_INFO_WRITERS: Mapping[Callable[[InfoTypeAndValue], Any], Callable[[str, Any], InfoTypeAndValue]] = {
    info_types.read_texts: info_types.texts,
    info_types.read_structures: info_types.structures,
    info_types.read_algorithms: info_types.algorithms,
    info_types.read_one_algorithm: info_types.algorithm,
    info_types.read_unsupported_oids: lambda _, oids: info_types.unsupported_oids(oids),
    info_types.read_root_ca_key_update: lambda _, update: info_types.root_ca_key_update(update),
    info_types.read_cert_req_template: lambda _, template: info_types.cert_req_template(template),
}


def info_value(data: bytes) -> None:
    """The value of an item of information, whatever its type; what is read is written as it was."""
    info = InfoTypeAndValue("1.2.3", data)
    for read in _INFO_READERS:
        with suppress(info_types.InfoError):
            value = read(info)
            if read in _INFO_WRITERS:
                assert _INFO_WRITERS[read]("1.2.3", value).info_value_der == data
    with suppress(info_types.InfoError):
        statuses = info_types.read_crl_status_list(info)
        assert info_types.read_crl_status_list(info_types.crl_status_list(statuses)) == statuses


def mac_parameters(data: bytes) -> None:
    """The parameters of a MAC: nothing that is accepted costs more than the policy allows, and nothing is derived."""
    for oid in (PASSWORD_BASED_MAC, PBMAC1):
        with suppress(PKIMessageRejected):
            mac = read_mac_algorithm(Algorithm(oid, data))
            assert mac.algorithm == Algorithm(oid, data)
            assert isinstance(mac, PasswordBasedMAC | PBMAC1MAC)
            assert len(mac.salt) <= MAX_SALT_OCTETS
            assert mac.rounds <= DEFAULT_MAC_POLICY.max_iterations


def cmp_everything(data: bytes) -> None:
    """A PKIMessage, or a part of one."""
    cmp_message(data)
    info_value(data)
    mac_parameters(data)


def scep_everything(data: bytes) -> None:
    """A pkiMessage with its signature, what can be in an envelope, an answer or a query, challenges and webhooks."""
    with suppress(scep_errors.DecodeError):
        received = decode_pki_message(data)
        with suppress(scep_errors.PKIMessageRefused):
            verify_pki_message(received, AlgorithmPolicy(allow_sha1=True))
        assert isinstance(received.is_self_signed, bool)
    for message_type in MessageType:
        with suppress(scep_errors.UnreadableEnvelope):
            content = decode_message_data(message_type, data)
            assert _in_order(decode_message_data(message_type, encode_message_data(content))) == _in_order(content)
    with suppress(scep_errors.DecodeError):
        decode_message_parameter(data.decode("latin-1"))
    with suppress(Malformed):
        assert read_event(data).isprintable()
    challenge = read_challenge(data.decode("latin-1"))
    if challenge is not None:
        assert f"{challenge.reference}{challenge.code}" == data.decode("latin-1").replace(":", "", 1)
    assert decode_capabilities(encode_capabilities(decode_capabilities(data))) == decode_capabilities(data)


def _in_order(content: MessageData) -> MessageData:
    """Certificates of a SET, which BER sends as they come and DER sorts (X.690, 11.6)."""
    if not isinstance(content, CertsOnly):
        return content
    return CertsOnly(tuple(sorted(content.certificates_der)), tuple(sorted(content.crls_der)))


def mdm_message(data: bytes) -> None:
    """A message to the MDM web service, as JSON and as SOAP."""
    for operation in OPERATIONS:
        with suppress(Malformed):
            assert isinstance(decode_json(operation, data), operation.request)
    with suppress(Malformed, SOAPFault):
        token = read_envelope(data).username_token()
        assert token is None or isinstance(token.password, str)


TARGETS: Final[Mapping[str, AnyBytes]] = {
    "est": est_body,
    "cms": cms_message,
    "ber": ber_element,
    "cmc": cmc_content,
    "crmf": crmf_messages,
    "cmp": cmp_everything,
    "scep": scep_everything,
    "mdm": mdm_message,
}
