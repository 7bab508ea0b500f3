"""Formats become subjects, and no variable becomes more than a value."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from cspd.digital_ids.rdn_format import MAX_VALUE, RDNFormat, RDNFormatError
from cspd.refusals import BadName, Malformed
from cspd.x509.names import format_name, parse_name

NOBODY = x509.Name([])
DEVICES = parse_name("ou=Devices,o=My Company,c=US")


def build(text: str, parent: x509.Name = NOBODY, /, **variables: str) -> x509.Name:
    return RDNFormat.parse(text).build(variables, parent)


@pytest.mark.requirement("R-CEG-086")
def test_variables_are_replaced() -> None:
    assert format_name(build("cn=<firstname> <lastname>", firstname="Ann", lastname="Lee")) == "CN=Ann Lee"


@pytest.mark.requirement("R-CEG-086")
@pytest.mark.parametrize(
    ("text", "subject"),
    [
        pytest.param("cn=<igusername> <iggroup> <devicetype>", "CN=ann staff phone", id="three"),
        pytest.param("CN=<igusername>-<igusername>", "CN=ann-ann", id="one twice"),
        pytest.param("cn=phone of <igusername>\\, Sales", "CN=phone of ann\\, Sales", id="literal with an escape"),
        pytest.param("cn=<igusername>+serialNumber=<serial>", "CN=ann+SERIALNUMBER=7", id="multi-valued"),
        pytest.param("cn=<igusername>,ou=<iggroup>", "CN=ann,OU=staff", id="two RDNs"),
        pytest.param("2.5.4.3=<igusername>", "CN=ann", id="dotted"),
        pytest.param("cn = <igusername>", "CN=ann", id="blanks"),
        pytest.param("c=<country>,cn=<igusername>", "C=GB,CN=ann", id="a type with a syntax of its own"),
    ],
)
def test_formats(text: str, subject: str) -> None:
    built = build(text, igusername="ann", iggroup="staff", devicetype="phone", serial="7", country="GB")
    assert format_name(built) == subject


@pytest.mark.requirement("R-CEG-089")
def test_the_parent_follows() -> None:
    assert format_name(build("cn=<name>", DEVICES, name="Ann")) == "CN=Ann,OU=Devices,O=My Company,C=US"


@pytest.mark.requirement("R-CEG-089")
def test_blanks_after_commas_of_a_parent_mean_nothing() -> None:
    assert parse_name("ou=Devices, o=My Company,  c=US") == DEVICES
    assert build("cn=<name>", parse_name(""), name="Ann") == parse_name("cn=Ann")


@pytest.mark.requirement("R-CEG-087")
def test_missing_variables_are_named() -> None:
    with pytest.raises(Malformed, match=r"^missing variable: lastname, devicetype$") as refused:
        build("cn=<firstname> <lastname> <devicetype>", firstname="Ann", group="x")
    assert refused.value.refusal_code == "missing-variable"


@pytest.mark.requirement("R-CEG-088")
@pytest.mark.requirement("R-CEGI-074")
@pytest.mark.parametrize(
    "value", ["x,ou=Admins", "x+ou=Admins", "x;o=Evil", "x\\,ou=Admins", 'x"', "#0403", "<b>", "="]
)
def test_a_value_injects_nothing(value: str) -> None:
    built = build("cn=<a>", DEVICES, a=value, b="never")
    assert len(built.rdns) == 4
    [attribute] = built.rdns[-1]
    assert attribute.value == value
    assert parse_name(format_name(built)) == built


@pytest.mark.requirement("R-CEG-088")
@given(
    first=st.text(max_size=60).filter(lambda text: text.strip(" ") and text.isprintable()),
    second=st.text(max_size=60).filter(lambda text: text.strip(" ") and text.isprintable()),
)
def test_a_subject_always_has_the_rdns_of_its_format_and_parent(first: str, second: str) -> None:
    built = build("title=<b>+givenName=<a>,ou=<b>", DEVICES, a=first, b=second)
    types = [sorted(each.oid.dotted_string for each in rdn) for rdn in built.rdns]
    assert types == [["2.5.4.6"], ["2.5.4.10"], ["2.5.4.11"], ["2.5.4.11"], ["2.5.4.12", "2.5.4.42"]]
    values = {each.oid.dotted_string: each.value for each in built.rdns[-1]}
    assert values == {"2.5.4.42": first.strip(" "), "2.5.4.12": second.strip(" ")}
    assert x509.Name.from_bytes(built.public_bytes()) == built


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=MAX_VALUE + 10)))
def test_any_variables_give_a_subject_or_a_refusal(variables: dict[str, str]) -> None:
    try:
        built = build("cn=<a>,ou=x <b>", DEVICES, **variables)
    except (Malformed, BadName):
        return
    assert len(built.rdns) == 5


@given(st.text())
def test_any_text_is_a_format_or_is_not(text: str) -> None:
    try:
        RDNFormat.parse(text)
    except RDNFormatError:
        return


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "variable a is empty"),
        ("  ", "variable a is empty"),
        ("x\ny", "variable a has characters that cannot be printed"),
        ("x\0", "variable a has characters that cannot be printed"),
        ("\u202etxt", "variable a has characters that cannot be printed"),
        ("\ud800", "variable a has characters that cannot be printed"),
        ("x" * (MAX_VALUE + 1), f"variable a has more than {MAX_VALUE} characters"),
    ],
)
def test_values_that_cannot_be(value: str, reason: str) -> None:
    with pytest.raises(BadName, match=f"^{reason}$"):
        build("cn=<a>", a=value)


def test_a_value_too_long_for_its_attribute_names_the_attribute() -> None:
    with pytest.raises(BadName, match=r"^CN: .*64"):
        build("cn=<a>", a="x" * 65)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cn=Ann",
        "<name>",
        "cn=",
        "cn=<name>,",
        "cn=<name>,ou=",
        "cn=<first name>",
        "cn=<>",
        "cn=<name",
        "cn=\\<name>",
        "nonsense=<name>",
        "cn=<a>+cn=<b>",
        "cn=\ue000<name>",
        "cn=<name>\\EE\\80\\81",
        "cn=<name>" + "x" * 5000,
        ",".join(f"cn=<v{number}>" for number in range(40)),
    ],
)
def test_what_is_no_format(text: str) -> None:
    with pytest.raises(RDNFormatError):
        RDNFormat.parse(text)
