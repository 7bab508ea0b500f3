from __future__ import annotations

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from cspd.refusals import Unavailable
from plugins.active_directory.conversation import Controller
from plugins.active_directory.locator import MAX_CONTROLLERS, Locator
from tests.support.running import result_of
from tests.unit.plugins.domain_controllers import Names, NoTimeout, locator


def hosts(found: tuple[Controller, ...]) -> list[str]:
    return [controller.host for controller in found]


@pytest.mark.requirement("R-CEGI-027")
@pytest.mark.requirement("R-CEG-129")
def test_domain_controllers_have_the_port_of_conf_and_the_order_of_their_priority() -> None:
    names = Names(example_com=[(20, 0, "dc3.example.com"), (0, 0, "dc1.example.com"), (10, 0, "dc2.example.com")])
    found = result_of(locator(names).controllers("example.com", 636))
    assert found == tuple(Controller(f"dc{number}.example.com", 636) for number in (1, 2, 3))
    result_of(locator(names).global_catalogs("example.com", 3269))
    assert names.asked == ["_ldap._tcp.dc._msdcs.example.com", "_gc._tcp.example.com"]


def test_weight_makes_the_first_place_likelier() -> None:
    names = Names(example_com=[(0, 90, "often.example.com"), (0, 10, "seldom.example.com"), (0, 0, "last.example.com")])
    random = Random(1)
    place = Locator(reactor=NoTimeout(), resolver=names, random=random, timeout=1.0, find_addresses=False)
    first = [hosts(result_of(place.controllers("example.com", 389)))[0] for _ in range(500)]
    assert 400 < first.count("often.example.com") < 490
    assert 10 < first.count("seldom.example.com") < 100


def test_addresses_where_the_operating_system_has_another_dns() -> None:
    names = Names(example_com=[(0, 0, "dc1.example.com"), (1, 0, "dc2.example.com")])
    names.addresses["dc1.example.com"] = bytes((192, 0, 2, 1))
    found = result_of(locator(names, find_addresses=True).controllers("example.com", 636))
    assert found == (Controller("dc1.example.com", 636, "192.0.2.1"),)
    assert result_of(locator(names, find_addresses=True).hosts(["dc1.example.com"], 389)) == (
        Controller("dc1.example.com", 389, "192.0.2.1"),
    )
    assert result_of(locator(names).hosts(["dc9.example.com"], 389)) == (Controller("dc9.example.com", 389),)


def test_a_large_domain_is_not_asked_whole() -> None:
    names = Names(example_com=[(0, 0, f"dc{number}.example.com") for number in range(50)] * 2)
    found = hosts(result_of(locator(names).controllers("example.com", 636)))
    assert len(set(found)) == len(found) == MAX_CONTROLLERS


@pytest.mark.parametrize("services", [{}, {"example_com": []}, {"example_com": [(0, 0, "")]}])
def test_none_is_said_so(services: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="no domain controller can be found"):
        result_of(locator(Names(**services)).controllers("example.com", 636))


def test_a_service_record_that_is_none() -> None:
    class Broken:
        async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
            return (b"\0\0",)

    place = Locator(reactor=NoTimeout(), resolver=Broken(), random=Random(1), timeout=1.0, find_addresses=False)
    with pytest.raises(Unavailable):
        result_of(place.controllers("example.com", 636))


def test_dns_that_does_not_answer_is_given_up() -> None:
    class Silent:
        async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
            return await Deferred()

    clock = Clock()
    place = Locator(reactor=clock, resolver=Silent(), random=Random(1), timeout=5.0, find_addresses=False)
    failures: list[Any] = []
    Deferred.fromCoroutine(place.controllers("example.com", 636)).addErrback(failures.append)
    clock.advance(4.9)
    assert not failures
    clock.advance(0.2)
    assert failures[0].check(Unavailable)
    assert failures[0].value.detail.startswith("example.com: ")
