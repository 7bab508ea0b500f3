"""What cspctl shows: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 200  # of an output that is no terminal: a serial number and a name stay on one line
_NARROWEST = 24


class Output:
    """Writes results to ``stream``: as JSON when ``as_json``, else as text and tables."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None, width: int | None = None) -> None:
        """``width``, in characters, is the terminal's if not given."""
        self.as_json = as_json
        self._stream = stream or sys.stdout
        if width is None and not self._stream.isatty():
            width = _WIDTH
        self._console = Console(file=self._stream, highlight=False, width=width)

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str = "none") -> None:
        """A table of the named columns; JSON has every field."""
        if self.as_json:
            self.value(list(rows))
            return
        if not rows:
            self._stream.write(f"{empty}\n")
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(Text("\n".join(_lines(row.get(column)))) for column in columns))
        self._console.print(table)

    def record(self, record: Mapping[str, Any]) -> None:
        """One thing, a field a line; a list is folded, and PEM stands below everything else, as it is."""
        if self.as_json:
            self.value(dict(record))
            return
        blocks = [value for value in record.values() if isinstance(value, str) and "\n" in value]
        fields = {name: value for name, value in record.items() if value not in blocks}
        width = max((len(name) for name in fields), default=0) + 2
        for name, value in fields.items():
            label = name.replace("_", " ").ljust(width)
            self._stream.write(self._folded(label, ", ".join(_lines(value))) + "\n")
        for block in blocks:
            self._stream.write(block)

    def text(self, text: str, **fields: Any) -> None:
        """A sentence for people; its fields for scripts."""
        if self.as_json:
            self.value(fields or {"message": text})
        else:
            self._stream.write(printable(text) + "\n")

    def entry(self, headline: str, details: Mapping[str, Any]) -> None:
        """A line for people, and below it ``name=value`` for each detail that says something."""
        said = " ".join(f"{name}={', '.join(_lines(value))}" for name, value in details.items() if value)
        self._stream.write(printable(headline) + "\n")
        if said:
            self._stream.write(self._folded("    ", said) + "\n")

    def value(self, value: object) -> None:
        """One JSON value, whoever reads it."""
        json.dump(value, self._stream, indent=2, ensure_ascii=False)
        self._stream.write("\n")

    def _folded(self, label: str, text: str) -> str:
        room = max(self._console.width - len(label), _NARROWEST)
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        return (label + f"\n{'':{len(label)}}".join(lines)).rstrip()


def _lines(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, list | tuple):
        return [printable(str(part)) for part in value]
    return [printable(str(value))]


def printable(text: str) -> str:
    """Control characters escaped: clients choose subjects, and a terminal obeys what it is sent."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
