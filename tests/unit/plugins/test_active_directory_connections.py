from __future__ import annotations

import pytest

from cspd.refusals import Unavailable
from plugins.active_directory.connections import AVOIDED, KEPT, Connections
from plugins.active_directory.conversation import Controller, NotThisPassword, Search, Simple
from tests.unit.plugins.domain_controllers import READER, Seconds, World

FIRST, SECOND, THIRD, FOURTH = (Controller(f"dc{number}", 636) for number in range(1, 5))
ANYTHING = Search(base="", filter="(objectClass=*)", attributes=())


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def connections(world: World, seconds: Seconds) -> Connections:
    return Connections(world, READER, max_kept=1, monotonic=seconds)


def dialled(world: World) -> list[str]:
    return [host.partition(":")[0] for host, _ in world.dialled]


def test_a_connection_is_used_again(connections: Connections, world: World) -> None:
    for _ in range(3):
        connections.search([FIRST], ANYTHING)
    assert dialled(world) == ["dc1"]
    assert world.open == 1


def test_a_connection_that_is_over_is_replaced(connections: Connections, world: World) -> None:
    connections.search([FIRST], ANYTHING)
    world.broken.add("dc1")
    connections.search([FIRST, SECOND], ANYTHING)
    assert dialled(world) == ["dc1", "dc1"]
    assert world.open == 1


def test_a_connection_that_nobody_used_for_long_is_not_trusted(
    connections: Connections, world: World, seconds: Seconds
) -> None:
    connections.search([FIRST], ANYTHING)
    seconds.now += KEPT
    connections.search([FIRST], ANYTHING)
    assert dialled(world) == ["dc1", "dc1"]
    assert world.open == 1


def test_the_next_domain_controller_is_asked(connections: Connections, world: World, seconds: Seconds) -> None:
    """And the one that was away is left alone for a while."""
    world.away.add("dc1")
    for _ in range(2):
        connections.search([FIRST, SECOND], ANYTHING)
    assert dialled(world) == ["dc1", "dc2"]
    world.away.clear()
    seconds.now += AVOIDED
    connections.search([FIRST, SECOND], ANYTHING)
    assert dialled(world) == ["dc1", "dc2", "dc1"]


def test_one_that_was_away_is_asked_if_there_is_no_other(connections: Connections, world: World) -> None:
    world.away.add("dc1")
    with pytest.raises(Unavailable):
        connections.search([FIRST], ANYTHING)
    world.away.clear()
    connections.search([FIRST], ANYTHING)


def test_nobody_waits_for_more_than_three(connections: Connections, world: World) -> None:
    world.away.update(("dc1", "dc2", "dc3"))
    with pytest.raises(Unavailable, match="does not answer") as refused:
        connections.search([FIRST, SECOND, THIRD, FOURTH], ANYTHING)
    assert refused.value.detail == "dc1:636: away; dc2:636: away; dc3:636: away"
    connections.search([FIRST, SECOND, THIRD, FOURTH], ANYTHING)


def test_the_account_that_reads_may_be_refused(world: World) -> None:
    connections = Connections(world, Simple("reader@example.com", "wrong"), max_kept=1)
    with pytest.raises(Unavailable) as refused:
        connections.search([FIRST], ANYTHING)
    assert "does not accept the account that reads: wrong password" in refused.value.detail
    assert "reader's" not in refused.value.detail


def test_passwords_are_checked_on_connections_of_their_own(connections: Connections, world: World) -> None:
    world.passwords["CN=alice"] = "right"
    connections.check_password([FIRST], Simple("CN=alice", "right"))
    assert world.open == 0
    with pytest.raises(NotThisPassword):
        connections.check_password([FIRST], Simple("CN=alice", "wrong"))
    connections.search([FIRST], ANYTHING)
    assert [credentials for _, credentials in world.dialled][-1] == READER


def test_a_wrong_password_is_tried_once(connections: Connections, world: World) -> None:
    """Each try counts towards the account's lock."""
    with pytest.raises(NotThisPassword):
        connections.check_password([FIRST, SECOND], Simple("CN=alice", "wrong"))
    assert len(world.dialled) == 1


def test_after_the_end_nothing_is_kept(connections: Connections, world: World) -> None:
    connections.search([FIRST], ANYTHING)
    connections.close()
    assert world.open == 0
    connections.search([FIRST], ANYTHING)
    assert world.open == 0


def test_passwords_are_not_in_the_text_of_credentials() -> None:
    assert "secret" not in repr(Simple("alice", "secret"))
