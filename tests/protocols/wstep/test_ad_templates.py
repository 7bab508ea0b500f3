from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cspd.authority.profile_values import ExtendedKeyUsageMode, ExtendedKeyUsageRules, KeyUsageBit
from cspd.directory.values import CertificateTemplate, GeneralFlag, NameFlag
from cspd.keys.values import KeyType
from plugins.active_directory.conversation import Entry
from plugins.active_directory.entries import read_template
from protocols.wstep.ad_templates import directory_template, template_differences, template_records
from protocols.wstep.policy_conf import template_oid
from protocols.wstep.template_rules import check_template
from tests.protocols.wstep.test_ad_objects import records
from tests.support.authorities import shipped_profiles

SERVICES = "CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=com"
SIGNING = shipped_profiles()["wstep-digital-signature"]
BOTH = shipped_profiles()["wstep-digital-signature-key-encipherment"]
CURVES = replace(SIGNING, key_types=frozenset({KeyType.EC_P384, KeyType.EC_P521}))


def as_entry(record: dict[str, list[str | bytes]]) -> Entry:
    """What a directory would give of a record."""
    values = {
        name.lower(): tuple(each.encode() if isinstance(each, str) else each for each in found)
        for name, found in record.items()
    }
    dn = str(record["dn"][0])
    return Entry(dn, {**values, "cn": (dn.removeprefix("CN=").partition(",")[0].encode(),)})


def written(template: CertificateTemplate, **more: Any) -> tuple[dict[str, list[str | bytes]], ...]:
    return tuple(records("\n".join(template_records(template, SERVICES, **more))))


@pytest.mark.parametrize("profile", [SIGNING, BOTH, CURVES], ids=["signing", "both", "curves"])
@pytest.mark.parametrize("for_machines", [False, True])
@pytest.mark.parametrize("arc", [None, "1.2.3"])
def test_what_is_written_is_what_the_connector_reads(profile: Any, for_machines: bool, arc: str | None) -> None:
    template = directory_template("Badge", profile, for_machines=for_machines, arc=arc)
    _, entry = written(template)
    read = read_template(as_entry(entry))
    assert read == template
    assert read.is_for_machines is for_machines
    assert template_differences(template, read) == []
    check_template(read)


def test_the_attributes() -> None:
    identifier, template = written(directory_template("Badge", BOTH, for_machines=True), security=b"\1\2")
    assert template["dn"] == [f"CN=Badge,CN=Certificate Templates,{SERVICES}"]
    assert template["objectClass"] == ["pKICertificateTemplate"]
    assert template["flags"] == ["131680"]  # as a template of Windows for machines that was duplicated: 0x20260
    assert template["pKIKeyUsage"] == [b"\xa0\x00"]
    assert template["msPKI-Certificate-Name-Flag"] == ["402653184"]  # 0x18000000
    assert template["msPKI-Private-Key-Flag"] == ["16842752"]
    assert template["msPKI-Template-Schema-Version"] == ["2"]
    assert template["pKIDefaultKeySpec"] == ["1"]
    assert template["pKIMaxIssuingDepth"] == ["0"]
    assert template["pKICriticalExtensions"] == ["2.5.29.15"]
    purposes = ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]
    assert template["msPKI-Certificate-Application-Policy"] == template["pKIExtendedKeyUsage"] == purposes
    assert template["nTSecurityDescriptor"] == [b"\1\2"]
    assert "msPKI-RA-Application-Policies" not in template
    oid = template_oid("Badge")
    assert template["msPKI-Cert-Template-OID"] == identifier["msPKI-Cert-Template-OID"] == [oid]
    assert identifier["objectClass"] == ["msPKI-Enterprise-Oid"]
    assert identifier["flags"] == ["1"]
    assert str(identifier["dn"][0]).endswith(f",CN=OID,{SERVICES}")


def test_purposes_are_those_of_the_profile_where_it_says_some() -> None:
    users = directory_template("Badge", BOTH, for_machines=False)
    assert users.extended_key_usage == ("1.3.6.1.5.5.7.3.2",)
    rules = ExtendedKeyUsageRules(mode=ExtendedKeyUsageMode.FIXED, values=("1.2.3",))
    fixed = directory_template("Badge", replace(BOTH, extended_key_usage=rules), for_machines=True)
    assert fixed.extended_key_usage == fixed.application_policies == ("1.2.3",)


def test_the_highest_flag_makes_a_negative_number() -> None:
    path = NameFlag.SUBJECT_REQUIRE_DIRECTORY_PATH
    _, template = written(replace(directory_template("Badge", BOTH, for_machines=False), name_flags=path))
    assert template["msPKI-Certificate-Name-Flag"] == ["-2147483648"]
    assert read_template(as_entry(template)).name_flags is path


def test_spans_of_time() -> None:
    year = replace(
        directory_template("Badge", BOTH, for_machines=False),
        validity=timedelta(days=365),
        renewal_overlap=timedelta(weeks=6),
    )
    _, template = written(year)
    assert template["pKIExpirationPeriod"] == [bytes.fromhex("004039872ee1feff")]  # of Windows' own templates
    assert template["pKIOverlapPeriod"] == [bytes.fromhex("0080a60affdeffff")]


def test_templates_for_curves_alone_say_so() -> None:
    template = directory_template("Badge", CURVES, for_machines=False)
    assert (template.schema_version, template.minimal_key_size) == (3, 384)
    _, entry = written(template)
    assert entry["msPKI-RA-Application-Policies"] == [
        "msPKI-Asymmetric-Algorithm`PZPWSTR`ECDSA_P384`msPKI-Hash-Algorithm`PZPWSTR`SHA256`"
    ]
    assert entry["pKIDefaultKeySpec"] == ["2"]


def test_object_identifiers_below_the_arc_of_a_forest() -> None:
    one, other, again = (
        directory_template(name, BOTH, for_machines=False, arc="1.2.3").oid for name in ("Badge", "Host", "badge")
    )
    assert one == again != other
    assert one.startswith("1.2.3.")
    assert len(one.split(".")) == 5


def test_what_differs() -> None:
    template = directory_template("Badge", BOTH, for_machines=False)
    turned = replace(template, extended_key_usage=template.extended_key_usage[::-1], display_name="x", major_revision=9)
    assert template_differences(template, turned) == []
    for change, problem in (
        ({"oid": "1.2"}, f"msPKI-Cert-Template-OID is 1.2, not {template.oid}"),
        ({"general_flags": GeneralFlag.IS_CA}, "flags is 0x80, not 0x20220"),
        (
            {"key_usage": frozenset({KeyUsageBit.KEY_CERT_SIGN})},
            "pKIKeyUsage is keyCertSign, not digitalSignature + keyEncipherment",
        ),
        ({"critical_extensions": ()}, "pKICriticalExtensions is none, not 2.5.29.15"),
        ({"ra_signatures": 1}, "msPKI-RA-Signature is 1, not 0"),
    ):
        changed: CertificateTemplate = replace(template, **change)  # type: ignore[arg-type]
        assert template_differences(template, changed) == [f"certificate template Badge: {problem}"]
