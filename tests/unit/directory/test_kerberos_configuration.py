from __future__ import annotations

from pathlib import Path

import pytest

from cspd.directory.kerberos_configuration import check_kerberos_configuration, use_kerberos_configuration
from cspd.refusals import Malformed, Unavailable

GOOD = """\
# comment
[libdefaults]
    default_realm = EXAMPLE.COM
    dns_lookup_kdc = false
    example_section = {
        default_realm = OTHER
    }
[realms]
    EXAMPLE.COM = {
        kdc = dc1.example.com
        kdc = dc2.example.com
    }
    EXAMPLE.NET = {
        kdc = dc1.example.net
    }
[domain_realm]
    .example.org = EXAMPLE.ORG
"""


@pytest.mark.requirement("R-CEGI-029")
def test_every_forest_has_its_realm() -> None:
    check_kerberos_configuration(GOOD, ["example.com", "example.net"], what="krb5.conf")
    with pytest.raises(Malformed, match=r"krb5\.conf: \[realms\] lacks EXAMPLE\.ORG, and dns_lookup_kdc is off"):
        check_kerberos_configuration(GOOD, ["example.com", "example.org"], what="krb5.conf")
    by_dns = GOOD.replace("dns_lookup_kdc = false", "")
    check_kerberos_configuration(by_dns, ["example.org"], what="krb5.conf")


@pytest.mark.requirement("R-CEGI-029")
@pytest.mark.parametrize(
    "text", ["", "[realms]\n", "[libdefaults]\n", "default_realm = A\n", "[libdefaults]\ndefault_realm =\n"]
)
def test_a_default_realm_is_needed(text: str) -> None:
    with pytest.raises(Malformed, match="no default_realm"):
        check_kerberos_configuration(text, [], what="krb5.conf")


def test_the_process_has_one_configuration(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(GOOD)
    second.write_text(GOOD)
    environment: dict[str, str] = {}
    use_kerberos_configuration(first, ["example.com"], environment=environment)
    use_kerberos_configuration(first, ["example.net"], environment=environment)
    assert environment == {"KRB5_CONFIG": str(first.resolve())}
    with pytest.raises(Malformed, match="cannot also be by"):
        use_kerberos_configuration(second, ["example.com"], environment=environment)
    with pytest.raises(Unavailable, match="cannot be read"):
        use_kerberos_configuration(tmp_path / "none", [], environment={})
