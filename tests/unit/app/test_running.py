from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock

from cspd.config.configuration import Configuration
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.deployment import Deployment
from cspd.daemon.listeners import Listeners
from cspd.daemon.running import Parts, Running
from cspd.daemon.serving import wanted_listeners
from cspd.jobs.values import Job
from cspd.plugin import ProtocolService
from tests.support.clocks import FrozenClock
from tests.support.running import result_of
from tests.unit.app.test_listeners import Answers
from tests.unit.config.installations import SOUND, install


class Part:
    """A core or a database that notes when it starts and stops."""

    def __init__(self, name: str, diary: list[str], *, failure: Exception | None = None) -> None:
        self._name = name
        self._diary = diary
        self._failure = failure

    async def start(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._diary.append(f"{self._name} starts")

    async def stop(self) -> None:
        self._diary.append(f"{self._name} stops")


class Database:
    def __init__(self, diary: list[str]) -> None:
        self._diary = diary

    def start(self) -> None:
        self._diary.append("database starts")

    def stop(self) -> Deferred[None]:
        self._diary.append("database stops")
        return succeed(None)


class Jobs:
    def __init__(self, diary: list[str]) -> None:
        self._diary = diary
        self.names: list[str] = []

    def replace(self, jobs: Sequence[Job]) -> None:
        self.names = [job.name for job in jobs]

    async def stop(self) -> None:
        self._diary.append("jobs stop")


class World:
    """A daemon of fakes on a reactor in memory, by a configuration that is really loaded."""

    def __init__(self, folder: Path, *, core_fails: Exception | None = None) -> None:
        self.diary: list[str] = []
        self.reactor = MemoryReactorClock()
        self.folder = folder
        self.jobs = Jobs(self.diary)
        self.built = 0
        self.refusal: ConfigurationRefused | None = None
        self.levels: list[str] = []
        self.watched: list[tuple[Deployment, list[str]]] = []
        self.factories: list[Answers] = []
        self.is_adaptable = True
        install(folder)

        def endpoint(address: Any) -> Any:
            return TCP4ServerEndpoint(self.reactor, address[1], interface=address[0])

        self.listeners = Listeners(endpoint)
        self.running = Running(
            parts=Parts(
                load=self.load,
                deploy=self.deploy,
                listeners=wanted_listeners,
                factories=self.serve,
                apply_levels=self.note_level,
                watch=self.note_active,
            ),
            core=Part("core", self.diary, failure=core_fails),
            jobs=self.jobs,
            listeners=self.listeners,
            database=Database(self.diary),
            call_later=self.reactor.callLater,
        )

    def load(self) -> Configuration:
        return load_configuration(self.folder / "cspd.toml", environment={}, clock=FrozenClock())

    def deploy(self, configuration: Configuration) -> Deployment:
        if self.refusal is not None:
            raise self.refusal
        self.built += 1
        number = self.built

        def note(what: str) -> Callable[[], None]:
            return lambda: self.diary.append(f"protocol {number} {what}")

        async def run() -> None:
            raise AssertionError("not run here")

        job = Job(name=f"job-{number}", schedule="0 * * * * *", run=run)
        protocol = ProtocolService(routes=(), jobs=(job,), start=note("starts"), stop=note("stops"))
        return Deployment(configuration=configuration, protocols={"acme": protocol})

    def serve(self, deployment: Deployment) -> Any:
        wanted = wanted_listeners(deployment.configuration)
        made = [(each, Answers(is_adaptable=self.is_adaptable)) for each in wanted]
        self.factories = [answers for _, answers in made]
        return made

    def note_level(self, configuration: Configuration) -> None:
        self.levels.append(configuration.root.log.level)

    def note_active(self, deployment: Deployment, factories: Any) -> None:
        self.watched.append((deployment, [wanted.name for wanted, _ in factories]))

    def start(self) -> None:
        configuration = self.load()
        self.listeners.bind(wanted_listeners(configuration))
        result_of(self.running.start(configuration))

    def rewrite(self, old: str, new: str) -> None:
        assert old in SOUND
        file = self.folder / "cspd.toml"
        file.write_text(SOUND.replace(old, new))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_parts_start_before_requests_and_stop_after_them(world: World) -> None:
    world.start()
    assert world.diary == ["database starts", "core starts", "protocol 1 starts"]
    assert world.watched == [(world.running.deployment, ["http", "https"])]
    assert world.jobs.names == ["job-1"]
    assert set(world.running.addresses) == {"http", "https"}
    stopping: list[object] = []
    Deferred.fromCoroutine(world.running.stop()).addBoth(stopping.append)
    assert world.diary[3:] == [], "requests still run"
    for factory in world.factories:
        assert factory.draining is not None
        factory.draining.callback(None)
    assert stopping == [None]
    assert world.diary[3:] == ["protocol 1 stops", "jobs stop", "core stops", "database stops"]


def test_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    world = World(tmp_path, core_fails=ValueError("the token says no"))
    with pytest.raises(ValueError, match="the token says no"):
        world.start()
    assert world.running.addresses == {}
    assert world.diary == ["database starts", "core stops", "database stops"]


@pytest.mark.requirement("R-PLAT-007")
def test_reload_switches_everything_and_stops_the_old_when_its_requests_have_timed_out(world: World) -> None:
    world.start()
    world.rewrite("[protocols.ocsp]", '[log]\nlevel = "DEBUG"\n[protocols.ocsp]')
    world.running.reload()
    assert world.jobs.names == ["job-2"]
    assert world.levels == ["INFO", "DEBUG"]
    assert [deployment for deployment, _ in world.watched][1:] == [world.running.deployment]
    assert world.diary[2:] == ["protocol 1 starts", "protocol 2 starts"]
    world.reactor.advance(119)
    assert "protocol 1 stops" not in world.diary
    world.reactor.advance(1)
    assert world.diary[-1] == "protocol 1 stops"


def test_stop_soon_after_a_reload_stops_both(world: World) -> None:
    world.start()
    serving = world.factories  # they adopt the new configuration
    world.running.reload()
    Deferred.fromCoroutine(world.running.stop())
    for factory in serving:
        assert factory.draining is not None
        factory.draining.callback(None)
    assert {"protocol 1 stops", "protocol 2 stops"} <= set(world.diary)
    assert world.reactor.getDelayedCalls() == []


@pytest.mark.requirement("R-PLAT-007")
@pytest.mark.requirement("R-CEG-027")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('mode = "demo"', 'mode = "x"', "server.mode: has a value that is not allowed"),
        ('hostname = "pki', 'hostname = "new', "server.hostname: has changed, which needs a restart"),
        ("[protocols.ocsp]", '[store]\nurl = "sqlite:///x"\n[protocols.ocsp]', "store: has changed, which needs"),
    ],
    ids=["not valid", "another host name", "another store"],
)
def test_refused_reload_changes_nothing(world: World, old: str, new: str, reason: str) -> None:
    world.start()
    before = world.running.deployment
    world.rewrite(old, new)
    with pytest.raises(ConfigurationRefused, match=reason.replace(".", r"\.")):
        world.running.reload()
    assert world.running.deployment is before
    assert [deployment for deployment, _ in world.watched] == [before]
    assert world.built == 1
    assert world.jobs.names == ["job-1"]


def _passphrase(world: World, reference: str) -> None:
    world.rewrite('key = "tls.key"\n', f'key = "tls.key"\npassphrase = {reference}\n')


def _master_key_goes(world: World) -> None:
    (world.folder / "state" / "secrets" / "software-master-key").unlink()


@pytest.mark.requirement("R-PLAT-007")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_master_key_goes, 'keys.software.master_key: no secret "software-master-key" in the secret store'),
        (partial(_passphrase, reference='{ store = "tls-key" }'), 'tls.passphrase: no secret "tls-key"'),
        (partial(_passphrase, reference='{ env = "TLS_KEY" }'), "tls.passphrase: the environment variable TLS_KEY"),
        (partial(_passphrase, reference='{ file = "absent" }'), "tls.passphrase: .*absent does not exist"),
        (partial(_passphrase, reference='{ file = "state" }'), "tls.passphrase: .*state cannot be read: Is a dir"),
        (partial(_passphrase, reference='{ file = "a\\u0000b" }'), "tls.passphrase: .* is no path"),
        (partial(World.rewrite, old='"tls.key"', new='"a\\u0000b"'), "tls.key: .* is no path: it holds"),
    ],
    ids=["master key gone", "not in the store", "not in the environment", "no file", "a folder", "NUL", "NUL in a key"],
)
def test_reload_without_a_secret_is_refused_in_a_sentence(
    world: World, change: Callable[[World], None], reason: str
) -> None:
    world.start()
    before = world.running.deployment
    change(world)
    with pytest.raises(ConfigurationRefused, match=reason):
        world.running.reload()
    assert world.running.deployment is before


def test_protocol_that_cannot_be_built_refuses_the_reload(world: World) -> None:
    world.start()
    world.refusal = ConfigurationRefused([Problem(what="no such thing", key=("protocols", "acme"))])
    with pytest.raises(ConfigurationRefused, match=r"protocols\.acme: no such thing"):
        world.running.reload()
    assert world.levels == ["INFO"]
    assert world.reactor.getDelayedCalls() == []


@pytest.mark.requirement("R-PLAT-009")
def test_protocol_that_does_not_start_or_stop_leaves_the_others_alone(world: World) -> None:
    def fails() -> None:
        raise ValueError("broken")

    said: list[str] = []
    deployment = replace(
        world.deploy(world.load()),
        protocols={
            "acme": ProtocolService(routes=(), start=fails, stop=fails),
            "ocsp": ProtocolService(routes=(), start=lambda: said.append("start"), stop=lambda: said.append("stop")),
        },
    )
    deployment.start()
    result_of(deployment.stop())
    assert said == ["start", "stop"]
