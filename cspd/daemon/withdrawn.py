"""Protocols that an administrator has taken out of service: configured, built, and served by no listener.

The names are in a file of the state folder, so that a restart does not bring back what was stopped on purpose; only
deploying it does (R-TSA-087).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "withdrawn.json"


class WithdrawnProtocols:
    """Those of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def names(self) -> frozenset[str]:
        """Who is out of service; raises ValueError for a file that is not ours, OSError."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return frozenset()
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise ValueError(f"{self._file} is not a list of names")
        return frozenset(names)

    def keep(self, names: frozenset[str]) -> None:
        """These and no others; durable when it returns. Raises OSError."""
        beside = self._file.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as stream:
            json.dump(sorted(names), stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self._file)
