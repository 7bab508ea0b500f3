"""Looking up and listing issued certificates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import update

from cspd.authority.certificates import Certificates, complete_reserved
from cspd.authority.values import CertificateState
from cspd.refusals import NotFound
from cspd.store.tables import certificates
from tests.support.issuing import House, common_name, make_csr
from tests.support.running import result_of


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def store(house: House) -> Certificates:
    return Certificates(house.database)


def issue(house: House, name: str, profile: str = "tls-client") -> int:
    """Issue one for a host; a second later than the one before."""
    house.clock.advance(timedelta(seconds=1))
    return house.enroll(profile, csr_der=make_csr(house.subscriber_key, common_name(name), [x509.DNSName(name)])).serial


def serials(store: Certificates, **filters: object) -> list[int]:
    """The serial numbers of all pages of two, in their order."""
    found: list[int] = []
    page = result_of(store.list(limit=2, **filters))  # type: ignore[arg-type]  # keyword arguments of list
    while True:
        found += [record.serial for record in page.records]
        if page.next is None:
            return found
        page = result_of(store.list(limit=2, after=page.next, **filters))  # type: ignore[arg-type]


def test_a_certificate_is_found_by_its_bytes(house: House, store: Certificates) -> None:
    """Renewals have the same key; only the very bytes count."""
    first, second = house.enroll(), house.enroll()
    assert result_of(store.find_by_der(first.certificate_der)).serial == first.serial
    assert result_of(store.find_by_der(second.certificate_der)).serial == second.serial


@pytest.mark.parametrize(
    ("octets", "instead"),
    [
        ("a003020102", "a003020109"),  # version 10
        ("2a8648ce3d0201", "2a8648ce3d0209"),  # another algorithm than id-ecPublicKey
        ("2a8648ce3d030107", "2a8648ce3d030177"),  # another curve than P-256
    ],
)
def test_a_stranger_s_certificate_that_cannot_be_read_is_not_found(
    house: House, store: Certificates, octets: str, instead: str
) -> None:
    """Anybody may ask ACME to revoke any bytes; the library has exceptions of its own for these."""
    der = house.enroll().certificate_der.replace(bytes.fromhex(octets), bytes.fromhex(instead), 1)
    with pytest.raises(NotFound):
        result_of(store.find_by_der(der))


def test_what_was_not_issued_is_not_found(house: House, store: Certificates) -> None:
    assert house.root.certificate_der is not None
    for der in (b"", b"\x30\x00", house.root.certificate_der):
        with pytest.raises(NotFound):
            result_of(store.find_by_der(der))
    with pytest.raises(NotFound):
        result_of(store.find(house.issuing.id, 7))


def test_pages_hold_every_certificate_once_the_latest_first(house: House, store: Certificates) -> None:
    issued = [issue(house, f"h{number}.example") for number in range(5)]
    assert serials(store) == issued[::-1]


def test_certificates_of_the_same_moment_are_paged_too(house: House, store: Certificates) -> None:
    issued = {house.enroll().serial for _ in range(5)}
    assert len(serials(store)) == 5
    assert set(serials(store)) == issued


def test_what_is_issued_meanwhile_does_not_shift_the_pages(house: House, store: Certificates) -> None:
    issued = [issue(house, f"h{number}.example") for number in range(4)]
    first = result_of(store.list(limit=2))
    issue(house, "later.example")
    second = result_of(store.list(limit=2, after=first.next))
    assert [record.serial for record in (*first.records, *second.records)] == issued[::-1]
    assert second.next is None


def test_filters_select(house: House, store: Certificates) -> None:
    www = issue(house, "www.Example.org")
    mail = issue(house, "mail.example.org", "tls-server")
    other = issue(house, "other.example")
    result_of(
        house.database.write(
            lambda connection: connection.execute(
                update(certificates).where(certificates.c.serial == mail).values(state="held")
            )
        )
    )
    assert serials(store, text="EXAMPLE.org") == [mail, www]
    assert serials(store, text="100%") == []
    assert serials(store, text="e_ample") == []
    assert serials(store, profile="tls-server") == [mail]
    assert serials(store, state=CertificateState.HELD) == [mail]
    assert serials(store, authority_id=house.root.id) == []
    assert serials(store, expires_before=house.clock.now() + timedelta(days=100)) == [mail]
    assert serials(store, profile="tls-client", text="other") == [other]
    assert result_of(store.counts()) == {CertificateState.GOOD: 2, CertificateState.HELD: 1}
    assert result_of(store.counts(house.root.id)) == {}


@pytest.mark.parametrize("limit", [-1, 0, 10**9])
def test_a_page_has_a_size(house: House, store: Certificates, limit: int) -> None:
    issue(house, "a.example")
    assert len(result_of(store.list(limit=limit)).records) == 1


def test_only_a_reserved_record_is_completed(house: House) -> None:
    issued = house.enroll()
    with pytest.raises(NotFound):
        result_of(
            house.database.write(
                lambda connection: complete_reserved(connection, house.issuing.id, issued.serial, b"other")
            )
        )
