from __future__ import annotations

from cspd.refusals import Rejected, all_refusals
from protocols.ocsp.errors import HTTP_STATUS, RESPONSE_STATUS, response_status
from protocols.ocsp.messages import OCSPResponseStatus


def test_every_refusal_has_a_response_status() -> None:
    refusals = {kind for kind in all_refusals() if kind.__module__ == "cspd.refusals"}
    assert set(RESPONSE_STATUS) == refusals


def test_every_error_has_an_http_status() -> None:
    assert set(HTTP_STATUS) == set(OCSPResponseStatus) - {OCSPResponseStatus.SUCCESSFUL}


def test_a_refusal_of_a_plugin_has_the_status_of_its_base() -> None:
    class BadMoon(Rejected):
        pass

    assert response_status(BadMoon("waning")) is OCSPResponseStatus.INTERNAL_ERROR
