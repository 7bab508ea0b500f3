from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types as info
from protocols.cmp.messages import InfoTypeAndValue
from tests.protocols.cmp.vectors import NOW, STRUCTURE

UPDATE = info.RootCaKeyUpdate(STRUCTURE, STRUCTURE)
TEMPLATE = info.CertReqTemplate(STRUCTURE, STRUCTURE)
STATUSES = (
    info.CRLStatus(issuer_der=STRUCTURE, this_update=NOW),
    info.CRLStatus(dpn_der=b"\xa0\x03\x86\x01u", this_update=datetime(2050, 1, 1, tzinfo=UTC)),
    info.CRLStatus(dpn_der=b"\xa0\x03\x86\x01u", this_update=datetime(1950, 1, 1, tzinfo=UTC)),
    info.CRLStatus(issuer_der=STRUCTURE),
)
RSA = Algorithm("1.2.840.113549.1.1.1", tlv.NULL)


@pytest.mark.parametrize(
    ("made", "read", "value"),
    [
        (info.confirm_wait_time(NOW), info.read_confirm_wait_time, NOW),
        (info.texts(info.CERT_PROFILE, ("tls", "b\u00fcro")), info.read_texts, ("tls", "b\u00fcro")),
        (info.structures(info.CA_CERTS, (STRUCTURE,) * 2), info.read_structures, (STRUCTURE,) * 2),
        (InfoTypeAndValue(info.ROOT_CA_CERT, STRUCTURE), info.read_one_structure, STRUCTURE),
        (info.algorithms(info.SIGN_KEY_PAIR_TYPES, (RSA, RSA)), info.read_algorithms, (RSA, RSA)),
        (info.algorithm(info.PREFERRED_SYMM_ALG, RSA), info.read_one_algorithm, RSA),
        (
            InfoTypeAndValue(info.KEY_PAIR_PARAM_REQ, tlv.object_identifier("1.2.3")),
            info.read_key_pair_param_req,
            "1.2.3",
        ),
        (info.unsupported_oids(("1.2.3", "2.999")), info.read_unsupported_oids, ("1.2.3", "2.999")),
        (info.root_ca_key_update(UPDATE), info.read_root_ca_key_update, UPDATE),
        (info.cert_req_template(TEMPLATE), info.read_cert_req_template, TEMPLATE),
        (info.crl_status_list(STATUSES), info.read_crl_status_list, STATUSES),
    ],
)
def test_values_are_read_as_they_were_written(
    made: InfoTypeAndValue, read: Callable[[InfoTypeAndValue], object], value: object
) -> None:
    assert read(made) == value
    with pytest.raises(info.InfoError, match=made.info_type):
        read(InfoTypeAndValue(made.info_type, made.info_value_der + tlv.NULL))
    with pytest.raises(info.InfoError):
        read(InfoTypeAndValue(made.info_type))


def test_a_crl_status_has_its_source() -> None:
    for wrong in (
        tlv.sequence(),
        tlv.sequence(tlv.generalized_time(NOW)),
        tlv.sequence(tlv.element(0xA0, STRUCTURE), tlv.element(0xA1, STRUCTURE)),
        tlv.sequence(tlv.element(0xA0, STRUCTURE), tlv.element(0x17, b"2601010000Z")),
        tlv.sequence(tlv.element(0xA0, STRUCTURE), tlv.element(0x17, b"260101000000.5Z")),
    ):
        with pytest.raises(info.InfoError):
            info.read_crl_status_list(InfoTypeAndValue(info.CRL_STATUS_LIST, tlv.sequence(wrong)))


def test_implicit_confirm_is_null() -> None:
    assert info.implicit_confirm() == InfoTypeAndValue("1.3.6.1.5.5.7.4.13", tlv.NULL)
