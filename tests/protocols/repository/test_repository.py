"""The repository from request to response, in memory."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from cspd.authority.values import CAReference
from cspd.http.message import Request, Response
from cspd.plugin import Services
from cspd.refusals import NotFound, Unavailable, all_refusals
from protocols.repository.config import RepositoryConfig
from protocols.repository.errors import STATUS, response_to
from protocols.repository.factory import build
from protocols.repository.service import RepositoryService
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of
from tests.unit.authority.test_external import pending

DAY = timedelta(days=1)


class Site:
    """A hierarchy whose repository answers."""

    def __init__(self, **issuing: Any) -> None:
        self.here = Installation()
        _, self.issuing = self.here.make_hierarchy(**{"crl_days": 7, **issuing})
        services = SimpleNamespace(  # all that a repository takes of Services
            clock=self.here.clock, authorities=self.here.registry, publication=self.here.publication
        )
        self.service = build(RepositoryConfig(), cast(Services, services))

    def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        """Answer a request for ``/crl/<path>``."""
        (route,) = self.service.routes
        organization, ca, name = path.split("/")
        request = Request(
            method=method,
            target=f"/crl/{path}".encode(),
            path=f"/crl/{path}",
            query="",
            headers=tuple((key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()),
            body=b"",
            parameters={"organization": organization, "ca": ca, "name": name},
        )
        return result_of(route.handler(request))  # type: ignore[arg-type]  # our handlers are coroutines


def header(response: Response, name: bytes) -> str:
    (value,) = [value for key, value in response.headers if key == name]
    return value.decode()


@pytest.mark.requirement("R-CA-050")
def test_the_full_crl_is_at_the_url_of_the_guide() -> None:
    site = Site()
    site.here.issue(site.issuing, 5)
    site.here.revoke(site.issuing, 5)
    response = site.get("demo/issuing/crl.crl")
    assert response.status == 200
    assert header(response, b"content-type") == "application/pkix-crl"
    assert [each.serial_number for each in x509.load_der_x509_crl(response.body)] == [5]
    (route,) = site.service.routes
    assert (route.methods, route.path) == (("GET",), "/crl/{organization}/{ca}/{name}")


def test_the_bytes_are_shared_by_requests() -> None:
    site = Site()
    assert site.get("demo/issuing/crl.crl").body is site.get("demo/issuing/crl.crl").body


@pytest.mark.requirement("R-CA-053")
def test_what_certificates_point_to_is_there() -> None:
    site = Site()
    certificate = site.issuing.certificate
    assert certificate is not None
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    urls = [point.full_name[0].value] + [
        each.access_location.value
        for each in certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    crl, issuer = (site.get(url.removeprefix("http://pki.example/crl/")) for url in urls)
    assert header(issuer, b"content-type") == "application/pkix-cert"
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(issuer.body))
    assert x509.load_der_x509_crl(crl.body).issuer == certificate.issuer


def test_earlier_certificates_and_crls_stay_at_their_urls() -> None:
    site = Site()
    before = site.get("demo/issuing/crl.crl")
    old = site.issuing
    result_of(site.here.renewal.rekey(ISSUING, ALICE))
    assert site.get(f"demo/issuing/{old.certificate_id}.cer").body == old.certificate_der
    assert site.get("demo/issuing/crl.crl").body == before.body
    new = x509.load_der_x509_crl(site.get("demo/issuing/crl-1.crl").body)
    certificate = site.here.get(ISSUING).certificate
    assert certificate is not None
    assert new.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]


@pytest.mark.requirement("R-CA-045")
def test_the_chain_is_pem_with_the_root_last() -> None:
    site = Site()
    response = site.get("demo/issuing/chain.pem")
    assert header(response, b"content-type") == "application/pem-certificate-chain"
    root = site.here.get(ROOT)
    assert x509.load_pem_x509_certificates(response.body) == [site.issuing.certificate, root.certificate]


def test_delta_crls_where_the_ca_makes_them() -> None:
    assert Site(delta_crl_hours=6).get("demo/issuing/delta.crl").status == 200
    assert Site().get("demo/issuing/delta.crl").status == 404


@pytest.mark.requirement("R-CA-016")
@pytest.mark.parametrize(
    "path",
    [
        "demo/nobody/crl.crl",
        "other/issuing/crl.crl",
        "demo/issuing/crl-1.crl",
        "demo/issuing/crl-0.crl",
        "demo/issuing/crl-00001.crl",
        "demo/issuing/CRL.crl",
        "demo/issuing/crl.crl\n",
        "demo/issuing/" + "0" * 32 + ".cer",
        "demo/issuing/..",
        "demo/issuing/",
        "demo/issuing/" + "x" * 5000,
        "demo~issuing/issuing/crl.crl",
    ],
)
def test_what_does_not_exist_is_a_404_with_text(path: str) -> None:
    response = Site().get(path)
    assert response.status == 404
    assert header(response, b"content-type").startswith("text/plain")
    assert 0 < len(response.body) < 200
    assert header(response, b"cache-control") == "no-store"


def test_another_cas_certificate_is_not_found() -> None:
    site = Site()
    assert site.get(f"demo/root/{site.issuing.certificate_id}.cer").status == 404


def test_a_ca_without_certificate_has_no_documents() -> None:
    here, _, _ = pending()
    service = RepositoryService(
        clock=here.clock, authorities=here.registry, publication=here.publication, max_age=DAY, certificate_max_age=DAY
    )
    for name in ("crl.crl", "chain.pem"):
        with pytest.raises(NotFound):
            result_of(service.find("demo", "issuing", name))


def test_caches_keep_a_crl_an_hour_and_never_beyond_its_end() -> None:
    site = Site()
    assert header(site.get("demo/issuing/crl.crl"), b"cache-control") == "public, max-age=3600, no-transform"
    site.here.clock.advance(timedelta(days=7.7) - timedelta(minutes=1))
    assert header(site.get("demo/issuing/crl.crl"), b"cache-control") == "public, max-age=60, no-transform"


def test_caches_ask_again_for_a_crl_made_on_demand() -> None:
    assert header(Site(crl_days=None).get("demo/issuing/crl.crl"), b"cache-control") == "no-cache"


def test_a_client_that_has_it_gets_304() -> None:
    site = Site()
    full = site.get("demo/issuing/crl.crl")
    tag, modified = header(full, b"etag"), header(full, b"last-modified")
    assert modified == "Tue, 24 Nov 2026 12:00:00 GMT"
    for conditions in (
        {"if_none_match": tag},
        {"if_none_match": f'"other", W/{tag}'},
        {"if_none_match": "*"},
        {"if_modified_since": modified},
        {"if_modified_since": "Wed, 25 Nov 2026 12:00:00 GMT"},
    ):
        response = site.get("demo/issuing/crl.crl", **conditions)
        assert (response.status, response.body) == (304, b""), conditions
        assert header(response, b"etag") == tag


@pytest.mark.parametrize(
    "conditions",
    [
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": "Wed, 25 Nov 2026 12:00:00 GMT"},
        {"if_modified_since": "Mon, 23 Nov 2026 12:00:00 GMT"},
        {"if_modified_since": "yesterday"},
        {"if_modified_since": "Tue, 99 Nov 99999 12:00:00 GMT"},
        {"if_modified_since": ""},
    ],
)
def test_a_client_that_has_another_gets_it_all(conditions: dict[str, str]) -> None:
    assert Site().get("demo/issuing/crl.crl", **conditions).status == 200


def test_a_new_crl_has_another_tag() -> None:
    site = Site()
    before = header(site.get("demo/issuing/crl.crl"), b"etag")
    site.here.clock.advance(DAY)
    result_of(site.here.publication.publish(site.issuing))
    assert header(site.get("demo/issuing/crl.crl"), b"etag") != before


def test_a_token_that_does_not_answer_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()

    async def broken(*_: object) -> None:
        raise Unavailable("no token", retry_after=timedelta(seconds=7))

    monkeypatch.setattr(site.here.keys, "sign", broken)
    response = site.get("demo/issuing/crl.crl")
    assert response.status == 503
    assert header(response, b"retry-after") == "7"


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == {each for each in all_refusals() if each.__module__ == "cspd.refusals"}
    for refusal in STATUS:
        assert response_to(refusal("because")).body == b"because\n"


def test_organizations_are_kept_apart() -> None:
    site = Site()
    site.here.make_organization("other")
    site.here.make_root(CAReference("other", "root"), crl_days=7)
    ours, theirs = (x509.load_der_x509_crl(site.get(f"{name}/root/crl.crl").body) for name in ("demo", "other"))
    assert ours.issuer != theirs.issuer
