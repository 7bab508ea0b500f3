"""RequestIDs are kept as long as their certificates are valid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from cspd.directory.values import NameFlag
from protocols.wstep.request_ids import RequestIDs
from protocols.wstep.tables import wstep_requests
from tests.protocols.wstep.accounts import template
from tests.protocols.wstep.world import QUERY, World
from tests.support.running import result_of


def kept(world: World) -> set[int]:
    query = select(wstep_requests.c.request_id)
    return result_of(world.house.database.read(lambda connection: set(connection.scalars(query))))


def issue(world: World, days: int) -> int:
    world.directory.known_templates = [
        template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME, validity=timedelta(days=days)),
    ]
    return int(world.issue().text("w:RequestID") or 0)


@pytest.mark.parametrize("batch", [500, 2])
def test_those_of_expired_certificates_are_forgotten(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.wstep.request_ids._BATCH", batch)
    world = World()
    for _ in range(3):
        issue(world, 10)
    valid = issue(world, 100)
    before = kept(world)
    assert len(before) == 4
    request_ids: RequestIDs = world.request_ids
    result_of(request_ids.delete_expired())
    assert kept(world) == before
    world.house.clock.advance(timedelta(days=11))
    result_of(request_ids.delete_expired())
    assert kept(world) == {valid}
    assert world.ask(request_type=QUERY, request_id=str(valid)).certificate
