from __future__ import annotations

from cspd.refusals import AlreadyRevoked, BadProofOfPossession, Refused, Rejected, Unavailable, all_refusals
from protocols.cmp.errors import FAILURE_INFO, PKIMessageRejected, failure_info, status_info
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo


def test_every_refusal_has_a_failure_info() -> None:
    assert set(FAILURE_INFO) == {kind for kind in all_refusals() if kind.__module__ == "cspd.refusals"}


def test_a_refusal_of_a_plugin_has_the_failure_info_of_its_base() -> None:
    class BadMoon(BadProofOfPossession):
        pass

    assert failure_info(BadMoon("waning")) is PKIFailureInfo.BAD_POP
    assert failure_info(AlreadyRevoked("gone")) is PKIFailureInfo.CERT_REVOKED
    assert failure_info(Unavailable("the token is gone")) is PKIFailureInfo.SYSTEM_UNAVAIL
    assert failure_info(Refused("whatever")) is PKIFailureInfo.SYSTEM_FAILURE


def test_a_rejection_keeps_its_detail_from_the_client() -> None:
    rejected = PKIMessageRejected(PKIFailureInfo.BAD_TIME, "too late", detail="inside")
    expected = PKIStatusInfo(PKIStatus.REJECTION, ("too late",), frozenset({PKIFailureInfo.BAD_TIME}))
    assert rejected.status_info == expected
    assert str(rejected) == "inside"
    assert status_info(Rejected("policy", detail="inside")).status_string == ("policy",)
