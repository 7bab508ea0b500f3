"""``[protocols.acme]``: defaults, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.acme.config import ACMEConfig


@pytest.mark.requirement("R-CEG-037")
def test_the_defaults_are_those_of_the_specification() -> None:
    config = ACMEConfig()
    assert config.order_expiry == timedelta(days=7)
    assert config.http01.model_dump(include={"follow_redirects", "retry_interval", "retry_count", "port"}) == {
        "follow_redirects": False,
        "retry_interval": 0,
        "retry_count": 4,
        "port": 80,
    }
    assert config.dns01.query_timeout == 10_000
    assert config.dns01.nameservers == ()
    assert (config.delete_expired_authorizations, config.delete_expired_orders) == ("0 0 * * * *", "0 0 * ? * *")
    assert config.allow_addresses == ()
    assert not any(profile.startswith("basic-") for profile in config.profiles)


@pytest.mark.requirement("R-CEG-036")
@pytest.mark.parametrize("text", ["192.0.2.0:53", "192.0.2.0 : 53", " 192.0.2.0 :53 ", "192.0.2.0:\t53"])
def test_a_nameserver_is_an_address_and_a_port(text: str) -> None:
    assert ACMEConfig(dns01={"nameservers": [text]}).dns01.nameservers == (("192.0.2.0", 53),)


@pytest.mark.requirement("R-CEG-036")
@pytest.mark.parametrize(
    "text", ["192.0.2.0", "192.0.2.0:", "192.0.2:53", "192.0.2.256:53", "192.0.2.0:0", "192.0.2.0:65536", "dns:53",
             "[2001:db8::1]:53", "2001:db8::1:53", "192.0.2.0:53:53", "192.0.2.0;53", "", 53, None]
)  # fmt: skip
def test_anything_else_is_no_nameserver(text: Any) -> None:
    with pytest.raises(ValidationError):
        ACMEConfig(dns01={"nameservers": [text]})


@pytest.mark.requirement("R-CEG-037")
@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("P7D", timedelta(days=7)),
        ("p7D", timedelta(days=7)),
        ("PT1H", timedelta(hours=1)),
        ("P1DT2H3M4.5S", timedelta(seconds=93784.5)),
    ],
)
def test_the_expiry_of_orders_is_an_iso_8601_duration(text: str, span: timedelta) -> None:
    assert ACMEConfig(order_expiry=text).order_expiry == span


@pytest.mark.requirement("R-CEG-038")
@pytest.mark.parametrize("cron", ["0 0 * * * *", "0 0 * ? * *", "0 0/15 * * * ?"])
def test_six_fields_are_a_schedule(cron: str) -> None:
    assert ACMEConfig(delete_expired_orders=cron).delete_expired_orders == cron


@pytest.mark.parametrize(
    "settings",
    [
        {"order_expiry": "P1W"},
        {"order_expiry": "P0D"},
        {"order_expiry": "-P1D"},
        {"delete_expired_orders": "0 * * * *"},
        {"signature_algorithms": []},
        {"signature_algorithms": ["HS256"]},
        {"max_identifiers": 0},
        {"max_identifiers": 101},
        {"revocation_reasons": ["whim"]},
        {"revocation_reasons_by_ca": {"issuing": []}},
        {"single_label_names": ["bad_name"]},
        {"allow_addresses": ["10.0.0.0/33"]},
        {"allow_addresses": ["10.0.0.1/8"]},
        {"http01": {"retry_count": -1}},
        {"http01": {"retry_interval": 0.5}},
        {"http01": {"port": 0}},
        {"dns01": {"query_timeout": 0}},
        {"unknown": 1},
        {"http01": {"unknown": 1}},
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ACMEConfig(**settings)
