from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from protocols.ocsp.config import NoncePolicy, OCSPConfig


def test_the_defaults_hold_together() -> None:
    config = OCSPConfig()
    assert config.next_update == timedelta(hours=8)
    assert config.nonce is NoncePolicy.OPTIONAL
    assert not config.http_error


@pytest.mark.parametrize(
    "wrong",
    [
        {"next_update": "11d"},
        {"next_update": "10s"},
        {"refresh": "8h"},
        {"refresh": "0s"},
        {"nonce": "maybe"},
        {"never_issued": "good"},
        {"max_request_bytes": 10},
        {"max_cert_ids": 0},
        {"renew_responders": "every now and then"},
        {"nextupdate": "8h"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OCSPConfig(**wrong)
