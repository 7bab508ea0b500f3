"""Long runs that the coverage of our code guides, with atheris (``pip install atheris``; it is in no lock file).

::

    python -m tests.fuzz.coverage cmp --cpu-minutes 30 --folder /tmp/cmp

``--folder`` keeps what reached new code, for the next run, and each finding: its input in ``found-...``, its traceback
on the standard output, once for every place that raises. The run goes on after a finding, and ends with the status 1 if
there was one. What was found belongs into ``corpus/NAME`` once the code is right.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
import traceback
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["cspd.x509", "protocols.cmp", "protocols.est"]):
    from tests.fuzz.any_bytes import TARGETS
from tests.fuzz.mutation import damage
from tests.fuzz.seeds import seeds

MAX_OCTETS = 16 * 1024
TIMEOUT = 10
"""Seconds for one input, after which libFuzzer ends the run."""
MEMORY = 1024
"""MiB."""


class Run:
    """Tries a target until its time is up."""

    def __init__(self, name: str, folder: Path, cpu_minutes: float) -> None:
        self._target = TARGETS[name]
        self._folder = folder
        self._until = time.process_time() + 60 * cpu_minutes
        self._begun = time.process_time()
        self._executions = 0
        self._found: set[str] = set()

    def one(self, data: bytes) -> None:
        """Try one input."""
        if time.process_time() > self._until:
            self._end()
        self._executions += 1
        try:
            self._target(data)
        except Exception as error:  # whatever it is, it is what we look for
            self._keep(data, error)

    def _keep(self, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} {[(frame.name, frame.lineno) for frame in frames[-4:]]}"
        if place not in self._found:
            self._found.add(place)
            (self._folder / f"found-{hashlib.sha256(place.encode()).hexdigest()[:12]}").write_bytes(data)
            print(f"FOUND after {self._executions} executions:", *traceback.format_exception(error), flush=True)

    def _end(self) -> None:
        minutes = (time.process_time() - self._begun) / 60
        print(f"{self._executions} executions in {minutes:.1f} minutes of processor time, {len(self._found)} findings")
        sys.stdout.flush()
        os._exit(1 if self._found else 0)  # libFuzzer's loop has no other way out


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Damage in our way as often as in that of libFuzzer."""
    random = Random(seed)
    if random.random() < 0.5:
        return damage(data, random)[:max_size]
    mutated: bytes = atheris.Mutate(data, max_size)
    return mutated


def main() -> None:
    """Run until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--cpu-minutes", type=float, default=30)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    kept = options.folder / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    for seed in seeds(options.target):
        (kept / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    run = Run(options.target, options.folder, options.cpu_minutes)
    limits = [f"-max_len={MAX_OCTETS}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}"]
    atheris.Setup(
        [sys.argv[0], *limits, "-print_final_stats=1", f"-artifact_prefix={options.folder}/", str(kept)],
        run.one,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
