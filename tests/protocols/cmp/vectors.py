"""What openssl sent (``tests/fuzz/corpus/cmp``), and messages of every kind for the tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st

from cspd.keys.values import PrivateKey
from cspd.x509 import tlv
from cspd.x509.algorithms import signature_hash
from cspd.x509.crmf.messages import CertId, CertReqMsg, CertRequest, CertTemplate, EncryptedKey, RAVerified
from cspd.x509.signatures import Algorithm
from protocols.cmp.general_names import directory_name
from protocols.cmp.messages import (
    BodyContent,
    BodyType,
    CertConfirmContent,
    CertificationRequest,
    CertifiedKeyPair,
    CertRepMessage,
    CertReqContent,
    CertResponse,
    CertStatus,
    Challenge,
    ErrorMsgContent,
    GenMsgContent,
    InfoTypeAndValue,
    NestedMessageContent,
    PKIBody,
    PKIConfirmContent,
    PKIHeader,
    PKIMessage,
    PollRep,
    PollRepContent,
    PollReqContent,
    POPODecKeyChallContent,
    POPODecKeyRespContent,
    RevDetails,
    RevRepContent,
    RevReqContent,
    UnreadContent,
)
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo

VECTORS = {
    file.stem: file.read_bytes()
    for file in sorted((Path(__file__).parents[2] / "fuzz" / "corpus" / "cmp").glob("*.der"))
}
SECRET = b"corpus-password"

KEY = ec.derive_private_key(4711, ec.SECP256R1())
NOW = datetime(2026, 11, 25, 0, 10, 30, tzinfo=UTC)
CLIENT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
SHA256 = Algorithm("2.16.840.1.101.3.4.2.1")
REJECTION = PKIStatusInfo(
    PKIStatus.REJECTION,
    ("no", "non"),
    frozenset({PKIFailureInfo.BAD_ALG, PKIFailureInfo.BAD_CERT_TEMPLATE, PKIFailureInfo.DUPLICATE_CERT_REQ}),
)
ACCEPTED = PKIStatusInfo(PKIStatus.ACCEPTED)
STRUCTURE = tlv.sequence(tlv.integer(7))
TEMPLATE = CertTemplate(subject=CLIENT, serial_number=77)
REQUEST = CertReqMsg(cert_req=CertRequest(cert_req_id=0, cert_template=TEMPLATE), popo=RAVerified())

HEADER = PKIHeader(
    sender_der=directory_name(CLIENT),
    message_time=NOW,
    transaction_id=bytes(range(16)),
    sender_nonce=bytes(range(16, 32)),
)
FULL_HEADER = replace(
    HEADER,
    pvno=3,
    recipient_der=b"\x82\x02ca",
    message_time=NOW.replace(microsecond=120_000),
    protection_alg=Algorithm("1.2.840.10045.4.3.2"),
    sender_kid=b"sender",
    recip_kid=b"recipient",
    recip_nonce=b"",
    free_text=("one", "zw\u00f6lf"),
    general_info=(InfoTypeAndValue("1.2.3"), InfoTypeAndValue("1.3.6.1.5.5.7.4.13", tlv.NULL)),
)


def nested(*messages: PKIMessage) -> PKIBody:
    """A ``nested`` body."""
    return PKIBody(BodyType.NESTED, NestedMessageContent(messages))


CONTENTS: tuple[tuple[BodyType, BodyContent], ...] = (
    (BodyType.IR, CertReqContent((REQUEST, REQUEST))),
    (
        BodyType.IP,
        CertRepMessage(
            (
                CertResponse(0, REJECTION),
                CertResponse(1, ACCEPTED, CertifiedKeyPair(STRUCTURE), b"info"),
                CertResponse(
                    2,
                    PKIStatusInfo(PKIStatus.GRANTED_WITH_MODS, ("but",)),
                    CertifiedKeyPair(
                        encrypted_cert=EncryptedKey(STRUCTURE),
                        private_key=EncryptedKey(STRUCTURE, is_enveloped_data=False),
                        publication_info_der=STRUCTURE,
                    ),
                ),
            ),
            (STRUCTURE, STRUCTURE),
        ),
    ),
    (BodyType.CR, CertReqContent((REQUEST,))),
    (BodyType.CP, CertRepMessage((CertResponse(-1, ACCEPTED),))),
    (BodyType.P10CR, CertificationRequest(STRUCTURE)),
    (
        BodyType.POPDECC,
        POPODecKeyChallContent(
            (Challenge(b"witness", SHA256, b"by RSA"), Challenge(b"witness", encrypted_rand_der=STRUCTURE))
        ),
    ),
    (BodyType.POPDECR, POPODecKeyRespContent((0, 1 << 127))),
    (BodyType.KUR, CertReqContent((REQUEST,))),
    (BodyType.KUP, CertRepMessage(())),
    (BodyType.KRR, CertReqContent((REQUEST,))),
    (BodyType.KRP, UnreadContent(STRUCTURE)),
    (BodyType.RR, RevReqContent((RevDetails(TEMPLATE), RevDetails(TEMPLATE, STRUCTURE)))),
    (
        BodyType.RP,
        RevRepContent((ACCEPTED, REJECTION), (CertId(x509.DirectoryName(CLIENT), 77),), (STRUCTURE,)),
    ),
    (BodyType.CCR, CertReqContent((REQUEST,))),
    (BodyType.CCP, CertRepMessage(())),
    (BodyType.CKUANN, UnreadContent(STRUCTURE)),
    (BodyType.CANN, UnreadContent(STRUCTURE)),
    (BodyType.RANN, UnreadContent(STRUCTURE)),
    (BodyType.CRLANN, UnreadContent(STRUCTURE)),
    (BodyType.PKI_CONF, PKIConfirmContent()),
    (BodyType.GENM, GenMsgContent((InfoTypeAndValue("1.3.6.1.5.5.7.4.17"),))),
    (BodyType.GENP, GenMsgContent(())),
    (BodyType.ERROR, ErrorMsgContent(REJECTION, 0x1D0000BD, ("more",))),
    (
        BodyType.CERT_CONF,
        CertConfirmContent((CertStatus(b"#" * 32, 0), CertStatus(b"#" * 64, 1, REJECTION, SHA256))),
    ),
    (BodyType.POLL_REQ, PollReqContent((0, -1))),
    (BodyType.POLL_REP, PollRepContent((PollRep(0, 60, ("wait",)), PollRep(1, 3600)))),
)
BODIES: tuple[PKIBody, ...] = (
    *(PKIBody(body_type, content) for body_type, content in CONTENTS),
    nested(PKIMessage(HEADER, PKIBody(BodyType.PKI_CONF, PKIConfirmContent()), b"mac", (STRUCTURE,))),
)


def message(body_type: BodyType = BodyType.GENM, header: PKIHeader = HEADER) -> PKIMessage:
    """A message of that kind, unprotected."""
    return PKIMessage(header, next(body for body in BODIES if body.type is body_type))


def certificate(
    *extensions: tuple[x509.ExtensionType, bool],
    key: PrivateKey = KEY,
    rsa_padding: padding.PSS | None = None,
) -> x509.Certificate:
    """A self-signed certificate of :data:`CLIENT` with these extensions and whether they are critical."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(CLIENT)
        .issuer_name(CLIENT)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=2030))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, signature_hash(key.public_key()), rsa_padding=rsa_padding)


_OCTETS = st.none() | st.binary(max_size=40)
_TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=3).map(tuple)
_INFOS = st.lists(
    st.builds(InfoTypeAndValue, st.sampled_from(("1.2.3", "2.999.1")), st.sampled_from((b"", tlv.NULL, STRUCTURE))),
    max_size=3,
).map(tuple)

HEADERS = st.builds(
    PKIHeader,
    pvno=st.integers(0, 2**63),
    sender_der=st.sampled_from((HEADER.sender_der, b"\x82\x02ca", b"\xa4\x02\x30\x00")),
    message_time=st.none() | st.datetimes(timezones=st.just(UTC)),
    protection_alg=st.none() | st.builds(Algorithm, st.just("1.2.3"), st.sampled_from((b"", tlv.NULL, STRUCTURE))),
    sender_kid=_OCTETS,
    recip_kid=_OCTETS,
    transaction_id=_OCTETS,
    sender_nonce=_OCTETS,
    recip_nonce=_OCTETS,
    free_text=_TEXTS,
    general_info=_INFOS,
)
STATUSES = st.builds(PKIStatusInfo, st.sampled_from(PKIStatus), _TEXTS, st.frozensets(st.sampled_from(PKIFailureInfo)))
RANDOM_BODIES = st.sampled_from(BODIES) | st.one_of(
    st.builds(ErrorMsgContent, STATUSES, st.none() | st.integers(-(2**63), 2**63), _TEXTS).map(
        lambda content: PKIBody(BodyType.ERROR, content)
    ),
    st.builds(CertStatus, st.binary(max_size=64), st.integers(-1, 2**63), st.none() | STATUSES).map(
        lambda status: PKIBody(BodyType.CERT_CONF, CertConfirmContent((status,)))
    ),
    st.lists(st.builds(PollRep, st.integers(-1, 99), st.integers(0, 2**40), _TEXTS), min_size=1, max_size=4).map(
        lambda replies: PKIBody(BodyType.POLL_REP, PollRepContent(tuple(replies)))
    ),
)
MESSAGES = st.builds(PKIMessage, HEADERS, RANDOM_BODIES, _OCTETS, st.lists(st.just(STRUCTURE), max_size=3).map(tuple))
