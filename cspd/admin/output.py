"""What cspctl shows: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table


class Output:
    """Writes results to ``stream``: as JSON when ``as_json``, else as text and tables."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stream = stream or sys.stdout
        # Wide enough for a serial number and a name where the output is no terminal.
        self._console = Console(file=self._stream, highlight=False, width=None if self._stream.isatty() else 200)

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str = "none") -> None:
        """A table of the named columns; JSON has every field."""
        if self.as_json:
            self._json(list(rows))
            return
        if not rows:
            self._console.print(empty)
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        self._console.print(table)

    def record(self, record: Mapping[str, Any]) -> None:
        """One thing, a field a line."""
        if self.as_json:
            self._json(dict(record))
            return
        width = max((len(name) for name in record), default=0)
        for name, value in record.items():
            self._stream.write(f"{name.replace('_', ' '):<{width}}  {_cell(value)}\n")

    def text(self, text: str, **fields: Any) -> None:
        """A sentence for people; its fields for scripts."""
        if self.as_json:
            self._json(fields or {"message": text})
        else:
            self._stream.write(text + "\n")

    def _json(self, value: object) -> None:
        json.dump(value, self._stream, indent=2, ensure_ascii=False)
        self._stream.write("\n")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "\n".join(str(part) for part in value)
    return str(value)
