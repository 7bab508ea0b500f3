"""Several that know passwords."""

from __future__ import annotations

import pytest

from cspd.authentication.interfaces import NOT_PROVED
from cspd.authentication.several import FirstOf
from cspd.authentication.static import StaticUsers
from cspd.authentication.values import Identity
from cspd.refusals import Unauthorized, Unavailable
from tests.support.running import result_of

STAFF = StaticUsers("staff", {"alice": b"one"})
DEVICES = StaticUsers("devices", {"alice": b"two", "router": b"three"})


class Away:
    """A directory that does not answer."""

    async def check(self, user: str, password: str) -> Identity:
        """Nobody can say."""
        raise Unavailable("the directory is away")


@pytest.mark.parametrize(
    ("user", "password", "method"),
    [("alice", "one", "staff"), ("alice", "two", "devices"), ("router", "three", "devices")],
)
def test_the_first_that_knows_the_user_counts(user: str, password: str, method: str) -> None:
    assert result_of(FirstOf([STAFF, DEVICES]).check(user, password)) == Identity(user, method)


def test_nobody_knows_the_user() -> None:
    with pytest.raises(Unauthorized, match=NOT_PROVED):
        result_of(FirstOf([STAFF, DEVICES]).check("alice", "three"))
    with pytest.raises(Unauthorized, match=NOT_PROVED):
        result_of(FirstOf([]).check("alice", "one"))


def test_one_that_is_away_does_not_keep_out_who_is_in_another() -> None:
    several = FirstOf([Away(), STAFF])
    assert result_of(several.check("alice", "one")).method == "staff"
    with pytest.raises(Unavailable):
        result_of(several.check("alice", "wrong"))
