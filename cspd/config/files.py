"""Reads ``cspd.toml`` and ``conf.d/*.toml`` as one tree in which every key is set once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cspd.config.locator import locate_keys
from cspd.config.problems import KeyPath, Problem, format_key

MAX_FILE_BYTES = 4 * 1024 * 1024
_SYNTAX_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key was set."""

    file: Path
    line: int | None

    def __str__(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"


@dataclass(slots=True)
class Tree:
    """The merged files, and where each key of them stands."""

    main: Path
    """The file that was named; ``conf.d`` lies beside it."""
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, key: KeyPath, what: str, remedy: str = "") -> Problem:
        """A problem with the file and line of ``key``, or of the nearest table around it."""
        place = Place(self.main, None)
        for length in range(len(key), 0, -1):
            if found := self.places.get(key[:length]):
                place = found
                break
        return Problem(what=what, remedy=remedy, key=key, file=place.file, line=place.line)


def read_files(main: Path) -> Tree:
    """Read the named file and the ``*.toml`` files of ``conf.d`` beside it, in the order of their names.

    What cannot be read is among the tree's problems; the rest of the tree is there all the same, so that one run can
    report everything.
    """
    tree = Tree(main)
    more = main.parent / "conf.d"
    try:
        beside = sorted(more.glob("*.toml"))
    except OSError as error:  # a folder that this user may not enter
        tree.problems.append(Problem(what=f"cannot be read: {error.strerror}", file=more))
        beside = []
    for file in [main, *beside]:
        _read_file(file, tree)
    return tree


def _read_file(file: Path, tree: Tree) -> None:
    try:
        content = file.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
        text = content.decode("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        remedy = (
            "Make one with `cspctl init`, or name another with --config" if isinstance(error, FileNotFoundError) else ""
        )
        tree.problems.append(Problem(what=what, remedy=remedy, file=file))
        return
    except tomllib.TOMLDecodeError as error:
        place = _SYNTAX_PLACE.search(str(error))
        line = int(place["line"]) if place and place["line"] else None
        what = f"is not TOML: {_SYNTAX_PLACE.sub('', str(error))}"
        tree.problems.append(Problem(what=what, file=file, line=line))
        return
    except UnicodeDecodeError:
        tree.problems.append(Problem(what="is not UTF-8", file=file))
        return
    except ValueError as error:
        tree.problems.append(Problem(what=str(error), file=file))
        return
    tree.files.append(file)
    places = {key: Place(file, line) for key, line in locate_keys(text).items()}
    _merge(values, tree.values, (), places, tree)


def _merge(
    source: Mapping[str, Any], target: dict[str, Any], at: KeyPath, places: Mapping[KeyPath, Place], tree: Tree
) -> None:
    for name, value in source.items():
        key = (*at, name)
        known = target.get(name)
        if name not in target:
            target[name] = value
            tree.places.update({place: where for place, where in places.items() if place[: len(key)] == key})
        elif isinstance(known, dict) and isinstance(value, dict):
            _merge(value, known, key, places, tree)
        else:
            here = places[key]
            tree.problems.append(
                Problem(
                    what=f"is set a second time; {tree.places[key]} has set it already",
                    remedy=f"Set {format_key(key)} in one place",
                    key=key,
                    file=here.file,
                    line=here.line,
                )
            )
