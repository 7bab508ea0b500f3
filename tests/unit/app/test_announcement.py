from __future__ import annotations

from cryptography import x509

from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference
from cspd.daemon.announcement import expand
from cspd.plugin import EnrollmentURL


def authority(
    ca_id: str,
    *profiles: str,
    kind: AuthorityKind = AuthorityKind.ISSUING,
    state: AuthorityState = AuthorityState.ACTIVE,
) -> Authority:
    return Authority(
        id=ca_id,
        reference=CAReference("demo", ca_id),
        kind=kind,
        state=state,
        subject=x509.Name([]),
        key_type=None,
        key=None,
        certificate_id=None,
        certificate=None,
        certificate_der=None,
        chain_der=(),
        issuer_id=None,
        ocsp_enabled=True,
        ocsp_key_type=None,
        crl_days=None,
        delta_crl_hours=None,
        profiles=frozenset(profiles),
    )


AUTHORITIES = [
    authority("root", "tls-server", kind=AuthorityKind.ROOT),
    authority("one", "tls-server"),
    authority("two", "tls-client"),
    authority("off", "tls-server", state=AuthorityState.DISABLED),
]


def test_url_is_shown_for_each_ca_that_may_issue_by_its_profile() -> None:
    url = EnrollmentURL(what="ACME", url="https://h/{ca}/d", command="client https://h/{ca}/d", profile="tls-server")
    [shown] = expand([url], AUTHORITIES)
    assert (shown.url, shown.command) == ("https://h/demo~one/d", "client https://h/demo~one/d")


def test_url_without_a_profile_is_shown_for_every_active_issuing_ca() -> None:
    shown = expand([EnrollmentURL(what="{ca}", url="https://h/{ca}")], AUTHORITIES)
    assert [each.what for each in shown] == ["demo~one", "demo~two"]


def test_url_of_no_ca_is_shown_as_it_is() -> None:
    url = EnrollmentURL(what="timestamps", url="http://h/tsa")
    assert list(expand([url], AUTHORITIES)) == [url]
