"""From our refusals to a failInfo."""

from __future__ import annotations

from cspd.refusals import BadProofOfPossession, Refused, Unauthorized, all_refusals
from protocols.scep.errors import FAIL_INFO, PKIMessageRefused, UnreadableEnvelope, fail_info
from protocols.scep.messages import FailInfo


def test_every_refusal_has_a_fail_info() -> None:
    assert set(FAIL_INFO) == {kind for kind in all_refusals() if kind.__module__ == "cspd.refusals"}


def test_a_refusal_of_a_plugin_has_the_fail_info_of_its_base() -> None:
    class BadMoon(BadProofOfPossession):
        pass

    assert fail_info(BadMoon("waning")) is FailInfo.BAD_MESSAGE_CHECK
    assert fail_info(Unauthorized("a wrong password")) is FailInfo.BAD_MESSAGE_CHECK
    assert fail_info(Refused("whatever")) is FailInfo.BAD_REQUEST


def test_details_are_for_the_log() -> None:
    refused = PKIMessageRefused(FailInfo.BAD_TIME, "too late", detail="inside")
    assert (str(refused), refused.fail_info_text) == ("inside", "too late")
    assert str(PKIMessageRefused(FailInfo.BAD_TIME, "too late")) == "too late"
    assert "padding" not in UnreadableEnvelope("the padding").fail_info_text
