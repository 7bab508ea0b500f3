"""The table from refusals to statuses."""

from cspd.refusals import Rejected, all_refusals
from protocols.est.errors import STATUS, status_of


def test_every_refusal_has_a_status() -> None:
    ours = {each for each in all_refusals() if each.__module__ == "cspd.refusals"}
    assert set(STATUS) == ours


def test_a_subclass_has_the_status_of_its_base() -> None:
    assert status_of(type("Own", (Rejected,), {})("no")) == 400
