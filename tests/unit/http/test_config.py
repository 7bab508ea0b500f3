"""The conf sections of a listener."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.http.config import ListenerConfig


@pytest.mark.requirement("R-PLAT-013")
@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("tcp:8080", ("0.0.0.0", 8080)),
        ("tcp:8443:interface=127.0.0.1", ("127.0.0.1", 8443)),
        ("tcp:0:interface=[::1]", ("::1", 0)),
        (r"tcp:80:interface=\:\:1", ("::1", 80)),
    ],
)
def test_endpoint_gives_an_address(endpoint: str, address: tuple[str, int]) -> None:
    """All of IPv4 by default; an interface for each listener; IPv6 only where named."""
    assert ListenerConfig(endpoint=endpoint).address == address


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "8080",
        "tcp:",
        "tcp:70000",
        "tcp:80:interface=",
        "tcp:80:interface=name",
        "tcp:80:interface=[1.2.3.4]",
        "ssl:80",
    ],
)
def test_other_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="tcp:8443:interface=127"):
        ListenerConfig(endpoint=endpoint)


@pytest.mark.requirement("R-PLAT-100")
def test_limits_are_each_listener_s_own() -> None:
    limits = {"read_timeout": "5s", "write_timeout": "6s", "idle_timeout": "7s", "graceful_timeout": "PT8S"}
    sizes = {"max_header_bytes": 2048, "max_body_bytes": 4096, "listen_limit": 9, "tcp_keep_alive": "1 min"}
    config = ListenerConfig.model_validate({"endpoint": "tcp:80", "limits": {**limits, **sizes}})
    assert config.limits.read_timeout == timedelta(seconds=5)
    assert config.limits.graceful_timeout == timedelta(seconds=8)
    assert config.limits.tcp_keep_alive == timedelta(minutes=1)
    assert (config.limits.max_header_bytes, config.limits.max_body_bytes, config.limits.listen_limit) == (2048, 4096, 9)
    assert ListenerConfig(endpoint="tcp:80").limits.read_timeout == timedelta(seconds=60)


@pytest.mark.parametrize(
    "limits",
    [{"idle_timeout": "0s"}, {"max_header_bytes": 10}, {"max_body_bytes": -1}, {"listen_limit": -1}, {"unknown": 1}],
)
def test_limits_that_are_none_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ListenerConfig.model_validate({"endpoint": "tcp:80", "limits": limits})


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        ({"certificate": "a.pem"}, "certificate and key"),
        ({"key": "a.pem"}, "certificate and key"),
        ({"client_certificates": "required"}, "client_trust"),
        ({"client_trust": "a.pem"}, "client_trust"),
    ],
)
def test_half_a_tls_section_is_refused(tls: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ListenerConfig.model_validate({"endpoint": "tcp:80", "tls": tls})


@pytest.mark.requirement("R-PLAT-025")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_obsolete_versions_have_to_be_allowed(version: str) -> None:
    tls: dict[str, Any] = {"minimum_version": version}
    with pytest.raises(ValidationError, match=r"1\.2 or 1\.3"):
        ListenerConfig.model_validate({"endpoint": "tcp:80", "tls": tls})
    ListenerConfig.model_validate({"endpoint": "tcp:80", "tls": tls | {"allow_obsolete_versions": True}})
