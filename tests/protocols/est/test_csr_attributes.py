"""What profiles tell clients to put into a request (RFC 9908), read by another library than wrote it."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from asn1crypto import core, parser

from cspd.authority.profile_values import ExtendedKeyUsageRules, Profile, SubjectAltNameRules, SubjectRules
from cspd.keys.values import KeyType
from protocols.est.csr_attributes import (
    CERTIFICATION_REQUEST_INFO_TEMPLATE,
    EXTENSION_REQUEST,
    EXTENSION_REQUEST_TEMPLATE,
    encode_csr_attributes,
)
from tests.protocols.est.world import World, header
from tests.support.authorities import shipped_profiles

COMMON_NAME = "2.5.4.3"


def profile(**values: Any) -> Profile:
    return replace(shipped_profiles()["tls-client"], **values)


def tree(octets: bytes) -> Any:
    """An element as nested lists; object identifiers dotted, everything else as its contents."""
    _, is_constructed, tag, _, contents, _ = parser.parse(octets, strict=True)
    if not is_constructed:
        return core.ObjectIdentifier.load(octets).dotted if tag == 6 else contents
    found = []
    while contents:
        size = parser.peek(contents)
        found.append(tree(contents[:size]))
        contents = contents[size:]
    return found


def test_the_profile_s_extensions_are_in_the_template_and_in_the_list() -> None:
    der = encode_csr_attributes(profile())
    assert der is not None
    [template, older] = tree(der)
    key_usage = ["2.5.29.15", b"\xff", b"\x03\x02\x07\x80"]
    client_authentication = ["2.5.29.37", b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"]
    request = [EXTENSION_REQUEST, [[key_usage, client_authentication]]]
    assert template == [CERTIFICATION_REQUEST_INFO_TEMPLATE, [[b"\x00", [request]]]]
    assert older == request


def test_what_the_client_knows_has_no_value_in_the_template() -> None:
    asked = profile(
        subject=SubjectRules(required=(COMMON_NAME,)),
        subject_alt_name=SubjectAltNameRules(required=True),
        key_usage=frozenset(),
        extended_key_usage=ExtendedKeyUsageRules(),
        key_types=frozenset({KeyType.EC_P384}),
    )
    der = encode_csr_attributes(asked)
    assert der is not None
    [[oid, [[version, subject, key, attributes]]], curve, name] = tree(der)
    assert (oid, version, subject) == (CERTIFICATION_REQUEST_INFO_TEMPLATE, b"\x00", [[[COMMON_NAME]]])
    assert key == [["1.2.840.10045.2.1", "1.3.132.0.34"]]
    assert attributes == [[EXTENSION_REQUEST_TEMPLATE, [[["2.5.29.17"]]]]]
    assert curve == ["1.2.840.10045.2.1", ["1.3.132.0.34"]]
    assert name == COMMON_NAME


def test_a_profile_that_asks_for_nothing_says_nothing() -> None:
    assert encode_csr_attributes(profile(key_usage=frozenset(), extended_key_usage=ExtendedKeyUsageRules())) is None


def test_csrattrs_needs_no_authentication(tmp_path: Path) -> None:
    world = World(tmp_path)
    response = world.ask("csrattrs")
    assert (response.status, header(response, b"content-type")) == (200, b"application/csrattrs")
    assert base64.b64decode(response.body) == encode_csr_attributes(world.house.profiles["tls-client"])


def test_csrattrs_is_empty_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    world = World(tmp_path)
    silent = profile(key_usage=frozenset(), extended_key_usage=ExtendedKeyUsageRules())
    world.service._profiles = {"tls-client": silent}
    response = world.ask("csrattrs")
    assert (response.status, response.body) == (204, b"")
