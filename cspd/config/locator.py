"""Finds the line of each key of a TOML text, which ``tomllib`` does not tell.

The text has been accepted by ``tomllib`` before, so that this reader needs to know where things end, not whether they
are right.
"""

from __future__ import annotations

import tomllib

from cspd.config.problems import KeyPath

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def locate_keys(text: str) -> dict[KeyPath, int]:
    """The line, from 1, on which each key, table and array item of a valid TOML text begins."""
    locator = _Locator(text.replace("\r\n", "\n"))
    locator.read_document()
    return locator.lines


class _Locator:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._array_lengths: dict[KeyPath, int] = {}

    def read_document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                table = self._read_header()
            else:
                self._read_assignment(table)

    def _read_header(self) -> KeyPath:
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        names = self._read_key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for position, name in enumerate(names):
            path += (name,)
            self.lines.setdefault(path, line)
            is_last = position == len(names) - 1
            if is_last and is_array:
                self._array_lengths[path] = self._array_lengths.get(path, 0) + 1
            if path in self._array_lengths:
                path += (self._array_lengths[path] - 1,)
                self.lines.setdefault(path, line)
        return path

    def _read_assignment(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._read_key():
            path += (name,)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip_spaces()
        self._read_value(path)

    def _read_key(self) -> list[str]:
        names = []
        while True:
            self._skip_spaces()
            names.append(self._read_name())
            self._skip_spaces()
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _read_name(self) -> str:
        start = self._at
        if self._text[start] in "\"'":
            self._skip_string()
            quoted: str = tomllib.loads(f"name = {self._text[start : self._at]}")["name"]
            return quoted
        while self._at < len(self._text) and self._text[self._at] in _BARE:
            self._at += 1
        return self._text[start : self._at]

    def _read_value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._skip_string()
        elif first == "[":
            self._read_array(path)
        elif first == "{":
            self._read_inline_table(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _read_array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while self._skip_blank() and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self.lines[(*path, index)] = self._line()
            self._read_value((*path, index))
            index += 1
        self._at += 1

    def _read_inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._read_assignment(path)
        self._at += 1

    def _skip_string(self) -> None:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            end = self._at + 3
            while not self._text.startswith(quote * 3, end):
                end += 2 if quote == '"' and self._text[end] == "\\" else 1
            end += 3
            while self._text.startswith(quote, end):  # up to two quotes may stand before the closing three
                end += 1
        else:
            end = self._at + 1
            while self._text[end] != quote:
                end += 2 if quote == '"' and self._text[end] == "\\" else 1
            end += 1
        self._at = end

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _skip_blank(self) -> bool:
        """Skip white space and comments; whether anything is left."""
        while self._at < len(self._text):
            if self._text[self._at] in " \t\n":
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return True
        return False

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
