from __future__ import annotations

from pathlib import Path

import pytest

from cspd.config.loader import load_configuration
from cspd.daemon.deployment import Deployment
from cspd.daemon.serving import wanted_listeners
from cspd.daemon.withdrawn import WithdrawnProtocols
from cspd.plugin import ProtocolService
from tests.support.clocks import FrozenClock
from tests.unit.app.test_serving import answering
from tests.unit.config.installations import install


def test_names_are_kept_over_restarts(tmp_path: Path) -> None:
    assert WithdrawnProtocols(tmp_path).names() == frozenset()
    WithdrawnProtocols(tmp_path).keep(frozenset({"tsp"}))
    assert WithdrawnProtocols(tmp_path).names() == {"tsp"}
    assert [each.name for each in tmp_path.iterdir()] == ["withdrawn.json"]


@pytest.mark.parametrize("text", ["{}", "[1]", "nonsense"])
def test_file_that_is_not_ours_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "withdrawn.json").write_text(text)
    with pytest.raises(ValueError, match="is not a list of names"):
        WithdrawnProtocols(tmp_path).names()


def test_listener_without_a_protocol_in_service_is_not_wanted(tmp_path: Path) -> None:
    configuration = load_configuration(install(tmp_path), environment={}, clock=FrozenClock())
    assert [each.name for each in wanted_listeners(configuration)] == ["http", "https"]
    assert [each.name for each in wanted_listeners(configuration, frozenset({"acme"}))] == ["http"]
    assert [each.name for each in wanted_listeners(configuration, frozenset({"ocsp"}))] == ["http", "https"]


def test_withdrawn_protocol_has_no_routes_and_the_others_have_theirs(tmp_path: Path) -> None:
    configuration = load_configuration(install(tmp_path), environment={}, clock=FrozenClock())
    protocols = {name: ProtocolService(routes=[answering(name.encode())]) for name in ("acme", "ocsp", "repository")}
    deployment = Deployment(configuration=configuration, protocols=protocols, withdrawn=frozenset({"ocsp"}))
    served = [(route.protocol, route.handler) for route in deployment.routes("http")]
    assert served == [("repository", route.handler) for route in protocols["repository"].routes]
