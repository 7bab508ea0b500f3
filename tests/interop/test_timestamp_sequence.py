"""Several processes on one store, killed at random: no serial number twice, ordered times, no logged token lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cspd.store import schema
from cspd.store.database import ThreadedDatabase, open_database
from protocols.tsp.timestamp_records import TimestampRecords
from tests.interop.timestamp_sequencer import CALLERS
from tests.support.postgresql import postgresql, postgresql_server
from tests.support.schemas import differences
from tests.support.threads import CallQueue

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures

PROCESSES = 3
KILLS = 8


@dataclass(frozen=True, slots=True)
class Token:
    asked: int
    answered: int
    serial: int
    gen_time: int


class Sequencer:
    """One process slot, whose process is killed and started again."""

    def __init__(self, url: str, name: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.interop.timestamp_sequencer", url, name]
        self._output = folder / f"{name}.txt"
        self._errors = folder / f"{name}.log"
        self._lines_before = 0

    def start(self) -> None:
        self._lines_before = self._lines()
        with self._output.open("ab") as output, self._errors.open("ab") as errors:
            self._child = subprocess.Popen(self._command, stdout=output, stderr=errors, cwd=Path(__file__).parents[2])

    def wait_until_busy(self) -> None:
        """Each run gives more tokens than its callers had first."""
        deadline = time.monotonic() + 60
        while self._lines() < self._lines_before + 3 * CALLERS:
            assert self._child.poll() is None, self._errors.read_text()
            assert time.monotonic() < deadline, "no tokens come"
            time.sleep(0.01)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait(30)
        with self._output.open("ab") as output:
            output.write(b"\n")  # behind a line that was cut

    def tokens(self) -> Iterator[Token]:
        for line in self._output.read_text().splitlines():
            words = line.split()
            if len(words) == 4:  # one write of one line is not cut in practice, and if it is, its row is not missed
                yield Token(*map(int, words))

    def _lines(self) -> int:
        return self._output.read_bytes().count(b"\n") if self._output.exists() else 0


def hammer(url: str, folder: Path, disturb: Callable[[], None] | None = None) -> list[Token]:
    """The tokens of all processes, each killed several times."""
    schema.upgrade(url)
    instants = random.Random(27)
    slots = [Sequencer(url, f"node-{number}", folder) for number in range(PROCESSES)]
    for slot in slots:
        slot.start()
    try:
        for number in range(KILLS):
            slot = slots[number % PROCESSES]
            slot.wait_until_busy()
            time.sleep(instants.uniform(0, 0.2))  # where in its work it dies
            slot.kill()
            slot.start()
        for slot in slots:
            slot.wait_until_busy()
    finally:
        for slot in slots:
            slot.kill()
    return [token for slot in slots for token in slot.tokens()]


def check(url: str, tokens: list[Token]) -> None:
    assert len(tokens) > (PROCESSES + KILLS) * CALLERS
    assert len({token.serial for token in tokens}) == len(tokens)
    assert all(token.serial.bit_length() == 63 for token in tokens)
    check_order(tokens)
    calls = CallQueue()
    database = open_database(url, reactor=calls)
    database.start()
    try:
        check_log(database, calls, tokens)
    finally:
        calls.result_of(database.stop())


def check_order(tokens: list[Token]) -> None:
    """Who asked after an answer, anywhere, got a later time; so all times differ as well."""
    assert len({token.gen_time for token in tokens}) == len(tokens)
    by_answer = sorted(tokens, key=lambda token: token.answered)
    latest, answered = 0, 0
    for token in sorted(tokens, key=lambda token: token.asked):
        while by_answer[answered].answered < token.asked:
            latest = max(latest, by_answer[answered].gen_time)
            answered += 1
        assert token.gen_time > latest, f"{token} came after {latest}"


def check_log(database: ThreadedDatabase, calls: CallQueue, tokens: list[Token]) -> None:
    """Every token that was given is in the log; the chains hold, over all deaths of their processes."""
    records = TimestampRecords(database)

    async def logged() -> list[int]:
        return [entry.token.serial_number for chain in await records.chains() async for entry in records.entries(chain)]

    report = calls.result_of(records.verify())
    assert report.is_sound, report.breaks
    assert set(report.heads) == {f"node-{number}" for number in range(PROCESSES)}
    serials = calls.result_of(logged())
    assert len(set(serials)) == len(serials) == report.tokens
    assert {token.serial for token in tokens} <= set(serials)


@pytest.mark.requirement("R-TSA-027", "R-TSA-028")
def test_killed_processes_on_sqlite_repeat_nothing_and_keep_the_order(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite"
    check(url, hammer(url, tmp_path))


@pytest.mark.requirement("R-TSA-027", "R-TSA-028")
def test_killed_processes_on_postgresql_repeat_nothing_and_keep_the_order(postgresql: str, tmp_path: Path) -> None:
    check(postgresql, hammer(postgresql, tmp_path))


def test_the_tables_on_postgresql_are_those_declared(postgresql: str) -> None:
    schema.upgrade(postgresql)
    assert [each for each in differences(postgresql) if "tsp_" in str(each)] == []
