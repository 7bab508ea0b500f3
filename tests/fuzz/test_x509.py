"""Any bytes and any text: a value, or the module's own error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from asn1crypto.cms import ContentInfo
from asn1crypto.core import Asn1Value
from asn1crypto.csr import CertificationRequest
from asn1crypto.ocsp import OCSPRequest
from asn1crypto.x509 import Certificate, GeneralNames
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from cspd.x509.csr import CSRError, parse_csr
from cspd.x509.der import DERError, check_encoding, read
from cspd.x509.extensions import ExtensionError, requested
from cspd.x509.general_names import GeneralNameError, check_general_name, describe, text_of
from cspd.x509.names import NameSyntaxError, format_name, parse_name
from cspd.x509.object_identifiers import REQUEST_EXTENSIONS
from cspd.x509.public_keys import PublicKeyError, load_public_key

CORPUS = Path(__file__).parent / "corpus" / "x509"
REQUESTS = {file.name: file.read_bytes() for file in sorted(CORPUS.glob("*.csr"))}


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds with some octets replaced, removed or put in."""
    octets = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                octets[at] = draw(st.integers(0, 255))
            case 1:
                del octets[at : at + draw(st.integers(1, 3))]
            case _:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
        octets = octets or bytearray(1)
    return bytes(octets)


STRUCTURES = [CertificationRequest, Certificate, GeneralNames, OCSPRequest, ContentInfo, Asn1Value]

any_request = st.binary(max_size=400) | damaged(list(REQUESTS.values()))


@given(any_request)
def test_bytes_are_a_request_or_an_error(csr_der: bytes) -> None:
    with suppress(CSRError, PublicKeyError):
        request = parse_csr(csr_der)
        format_name(request.subject)
        for name in request.subject_alt_names:
            describe(name)


@pytest.mark.parametrize("csr_der", REQUESTS.values(), ids=REQUESTS)
def test_the_corpus_is_read(csr_der: bytes) -> None:
    """Requests that real clients sent; each was worth keeping."""
    parse_csr(csr_der)


@pytest.mark.parametrize(
    "structure", [CertificationRequest, Certificate, GeneralNames, OCSPRequest, ContentInfo, Asn1Value]
)
@given(der=any_request)
def test_bytes_are_a_structure_or_an_error(structure: type[Asn1Value], der: bytes) -> None:
    for canonical in (True, False):
        with suppress(DERError):
            value = read(structure, der, canonical=canonical)
            assert not canonical or value.dump(force=True) == der


@given(any_request)
def test_what_is_der_stays_der_with_its_parser(der: bytes) -> None:
    """What another strict parser takes for a request, the check of the encoding takes for DER."""
    try:
        x509.load_der_x509_csr(der)
    except ValueError:
        with suppress(DERError):
            check_encoding(der)
    else:
        check_encoding(der)


@given(st.sampled_from(sorted(REQUEST_EXTENSIONS.values())) | st.just("1.2.3"), st.binary(max_size=100), st.booleans())
def test_bytes_are_an_extension_or_an_error(oid: str, value_der: bytes, critical: bool) -> None:
    with suppress(ExtensionError):
        assert requested(oid, value_der, critical=critical).value.value == value_der


@given(st.binary(max_size=200))
def test_bytes_are_a_public_key_or_an_error(public_key_der: bytes) -> None:
    with suppress(PublicKeyError):
        load_public_key(public_key_der)


@given(st.text(max_size=80) | st.text('CNOUDS=,+;\\"<># 0aF.1', max_size=60))
@example("CN=\\")
@example("CN=\ud800")
def test_text_is_a_name_or_an_error(text: str) -> None:
    with suppress(NameSyntaxError):
        name = parse_name(text)
        assert parse_name(format_name(name)) == name


OIDS = {"CN": "2.5.4.3", "O": "2.5.4.10", "OU": "2.5.4.11", "L": "2.5.4.7", "ST": "2.5.4.8"}
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
part = st.dictionaries(st.sampled_from(sorted(OIDS)), values, min_size=1, max_size=3)


@given(st.lists(part, max_size=4))
def test_a_name_written_and_read_is_the_same(parts: list[dict[str, str]]) -> None:
    name = x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(x509.ObjectIdentifier(OIDS[alias]), value) for alias, value in part.items()
        )
        for part in parts
    )
    written = format_name(name)
    assert written.isprintable()
    assert parse_name(written) == name


def name_of(kind: Callable[[str], x509.GeneralName]) -> Callable[[str], x509.GeneralName]:
    """A general name whose text nobody has checked."""
    return kind._init_without_validation  # type: ignore[attr-defined,no-any-return]  # how a parser makes them


@given(
    st.sampled_from([x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier]),
    st.text(max_size=60) | st.from_regex(r"[a-z*_.-]{1,20}(@[a-z.]{1,9})?|[a-z]{1,4}:[!-~]{0,20}", fullmatch=True),
)
def test_text_is_a_general_name_or_an_error(kind: type[x509.DNSName], text: str) -> None:
    name = name_of(kind)(text)
    assert text_of(name).isprintable()
    with suppress(GeneralNameError):
        check_general_name(name)
        assert text.isascii()
        assert text.isprintable()


@given(st.sampled_from(["1.3.6.1.4.1.311.20.2.3", "1.2.3"]), st.binary(max_size=40))
def test_an_other_name_is_a_line_or_an_error(type_id: str, value: bytes) -> None:
    name = x509.OtherName(x509.ObjectIdentifier(type_id), value)
    assert describe(name).isprintable()
    with suppress(GeneralNameError):
        check_general_name(name)
