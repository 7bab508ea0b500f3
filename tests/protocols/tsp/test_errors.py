from __future__ import annotations

from cspd.refusals import Rejected, Unavailable, all_refusals
from protocols.tsp.codec import REJECTIONS
from protocols.tsp.errors import FAILURE_INFO, STATUS_STRINGS, TimeStampRejected, failure_info
from protocols.tsp.messages import PKIFailureInfo


def test_every_refusal_has_a_failure_info() -> None:
    refusals = {kind for kind in all_refusals() if kind.__module__ == "cspd.refusals"}
    assert set(FAILURE_INFO) == refusals


def test_every_failure_info_has_its_text_and_its_answer() -> None:
    assert set(STATUS_STRINGS) == set(REJECTIONS) == set(PKIFailureInfo)
    assert all(STATUS_STRINGS.values())


def test_a_refusal_of_a_plugin_has_the_failure_info_of_its_base() -> None:
    class BadMoon(Rejected):
        pass

    assert failure_info(BadMoon("waning")) is PKIFailureInfo.SYSTEM_FAILURE
    assert failure_info(Unavailable("the token is gone")) is PKIFailureInfo.SYSTEM_FAILURE


def test_a_rejection_keeps_its_detail_from_the_client() -> None:
    rejected = TimeStampRejected(PKIFailureInfo.TIME_NOT_AVAILABLE, "chrony is 3 s off")
    assert "chrony" in str(rejected)
    assert rejected.status_string == "the time source is not available"
