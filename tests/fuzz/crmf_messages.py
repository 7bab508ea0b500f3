"""CertReqMessages with anything in them that RFC 4211 allows."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st

from cspd.x509 import tlv
from cspd.x509.crmf.messages import (
    AttributeTypeAndValue,
    CertId,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Extension,
    KeyAgreement,
    KeyEncipherment,
    OldCertID,
    OptionalValidity,
    POPOSigningKey,
    POPOSigningKeyInput,
    RegToken,
    SubsequentMessage,
    ThisMessage,
)
from cspd.x509.signatures import Algorithm
from tests.unit.x509.crmf.requests import CONTROLS, MAC, PROOFS, PUBLIC_KEY_DER

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
OIDS = st.sampled_from(("1.2.3", "2.5.29.15", "2.999.1", "1.3.6.1.4.1.32473.4294967296"))
INTEGERS = st.integers(-(2**159), 2**159)
VALUES = st.sampled_from((tlv.NULL, tlv.integer(5), tlv.sequence(tlv.integer(1), tlv.sequence()), tlv.TRUE))
ALGORITHMS = st.builds(Algorithm, OIDS, st.just(b"") | VALUES)
NAMES = st.lists(TEXTS, max_size=3).map(
    lambda texts: x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in texts])
)
GENERAL_NAMES: st.SearchStrategy[x509.GeneralName] = NAMES.map(x509.DirectoryName) | st.sampled_from(
    (x509.DNSName("a.example"), x509.RFC822Name("a@b.example"), x509.UniformResourceIdentifier("http://a.example/"))
)
TIMES = st.datetimes(datetime(1950, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
VALIDITIES = st.builds(OptionalValidity, TIMES, st.none() | TIMES) | st.builds(OptionalValidity, st.none(), TIMES)
TEMPLATES = st.builds(
    CertTemplate,
    version=st.none() | st.integers(0, 2),
    serial_number=st.none() | INTEGERS,
    signing_alg=st.none() | ALGORITHMS,
    issuer=st.none() | NAMES,
    validity=st.none() | VALIDITIES,
    subject=st.none() | NAMES,
    public_key_der=st.sampled_from((None, PUBLIC_KEY_DER)),
    issuer_uid=st.none() | st.binary(max_size=9).map(lambda octets: b"\x00" + octets),
    subject_uid=st.sampled_from((None, b"\x00", b"\x03\xf8")),
    extensions=st.none()
    | st.lists(st.builds(Extension, OIDS, st.booleans(), st.binary(max_size=40)), min_size=1, max_size=4).map(tuple),
)
UNKNOWN = st.builds(AttributeTypeAndValue, OIDS, VALUES)
SOME_CONTROLS = st.lists(
    st.sampled_from(CONTROLS)
    | UNKNOWN
    | st.builds(RegToken, TEXTS)
    | st.builds(OldCertID, st.builds(CertId, GENERAL_NAMES, INTEGERS)),
    max_size=4,
).map(tuple)
PRIVATE_KEYS = st.builds(ThisMessage, st.binary(max_size=40)) | st.sampled_from(SubsequentMessage) | st.just(MAC)
SIGNING_KEYS = st.builds(
    POPOSigningKey,
    st.none() | st.builds(POPOSigningKeyInput, GENERAL_NAMES | st.just(MAC), st.just(PUBLIC_KEY_DER)),
    ALGORITHMS,
    st.binary(max_size=80),
)
PROOFS_OF_POSSESSION = (
    st.sampled_from(PROOFS)
    | SIGNING_KEYS
    | st.builds(KeyEncipherment, PRIVATE_KEYS)
    | st.builds(KeyAgreement, PRIVATE_KEYS)
)


def requests(numbers: st.SearchStrategy[int] = INTEGERS) -> st.SearchStrategy[CertReqMsg]:
    """A CertReqMsg; ``numbers`` are the certReqIds."""
    return st.builds(
        CertReqMsg,
        cert_req=st.builds(CertRequest, cert_req_id=numbers, cert_template=TEMPLATES, controls=SOME_CONTROLS),
        popo=PROOFS_OF_POSSESSION,
        reg_info=st.lists(UNKNOWN, max_size=3).map(tuple),
    )
