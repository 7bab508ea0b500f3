"""What is wrong with a configuration, said so that it can be put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""The way to a value in a conf file: ``("listeners", "public", "protocols", 0)``."""


def format_key(key: KeyPath) -> str:
    """The path as people write it: ``listeners.public.protocols[0]``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding; never holds a secret."""

    what: str
    """What is wrong, a sentence without its full stop."""
    remedy: str = ""
    """What would be right, a sentence without its full stop."""
    key: KeyPath = ()
    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        """``FILE:LINE: KEY: WHAT. REMEDY.`` with the parts that are known."""
        place = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        key = f"{format_key(self.key)}: " if self.key else ""
        remedy = f" {self.remedy}." if self.remedy else ""
        return f"{place}{key}{self.what}.{remedy}"

    def as_json(self) -> dict[str, Any]:
        """The finding for scripts."""
        return {
            "file": None if self.file is None else str(self.file),
            "line": self.line,
            "key": format_key(self.key),
            "problem": self.what,
            "remedy": self.remedy,
        }


class ConfigurationRefused(Exception):
    """The configuration cannot be used; ``problems`` has every reason found, ``warnings`` what else was noticed."""

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
