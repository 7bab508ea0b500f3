"""Which handler answers a path and a method.

Routes form a tree of path segments. A look-up walks down it, literal segments first, and visits a node at most once,
so its cost is bounded by the depth of the path and the number of templates, whatever a client sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from cspd.http.message import Route

__all__ = ["BadPath", "Match", "MethodNotAllowed", "NoRoute", "RouteConflict", "Router"]

ENROLLMENT_HEADER_BYTES = 16384
"""Room for what browsers, proxies and enrollment agents send: a route with a body limit of its own brings it along."""

_REMEMBERED = 1024
"""How many paths with variable parts are remembered: status requests come to few URLs, again and again."""
_LONGEST_REMEMBERED = 512
"""Characters of a path that is remembered: its sender must not fill our memory with it."""


class RouteConflict(ValueError):
    """Two routes would answer the same request, or a template is malformed; ``problems`` has a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class BadPath(Exception):
    """The path is not percent-encoded UTF-8 without control characters (400)."""


class NoRoute(Exception):
    """No route has this path (404)."""


class MethodNotAllowed(Exception):
    """The path exists, but not for this method (405); ``allowed`` are those it has, sorted."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(", ".join(self.allowed))


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and what the variable parts of its template stand for."""

    route: Route
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Target:
    """A route at its node, with the names of its variables in order (other methods may name them otherwise)."""

    route: Route
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    targets: dict[str, _Target] = field(default_factory=dict)
    """By method, of templates that end here."""
    rests: dict[str, _Target] = field(default_factory=dict)
    """By method, of templates that end here with a ``{name:path}``."""


_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]*")
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class Router:
    """Finds routes; does not change once made (a reload makes another)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        self._static: dict[tuple[str, str], Match] = {}
        self._lately: dict[tuple[str, str], Match] = {}
        problems: list[str] = []
        for route in self.routes:
            problems += self._add(route)
        if problems:
            raise RouteConflict(problems)
        self.methods = tuple(sorted({method for route in self.routes for method in _methods_of(route)} | {"OPTIONS"}))

    @property
    def max_header_bytes(self) -> int:
        """What the routes need of their listener's header limit; 0 if nothing in particular."""
        return max((_header_bytes_of(route) for route in self.routes), default=0)

    def resolve(self, method: str, path: str) -> Match:
        """Find the route for a path as received (percent-encoded, without the query).

        Raises :class:`BadPath`, :class:`NoRoute` or :class:`MethodNotAllowed`.
        """
        match = self._static.get((method, path)) or self._lately.get((method, path))
        if match is not None:
            return match
        if not path.startswith("/"):
            raise NoRoute(path)
        raw = path[1:].split("/")
        allowed: set[str] = set()
        match = self._walk(self._root, method, raw, _decoded(raw) if "%" in path else raw, 0, (), allowed)
        if match is not None:
            if len(path) <= _LONGEST_REMEMBERED:
                if len(self._lately) >= _REMEMBERED:
                    self._lately.clear()
                self._lately[method, path] = match
            return match
        if allowed:
            raise MethodNotAllowed(allowed | {"OPTIONS"})
        raise NoRoute(path)

    def _walk(
        self,
        node: _Node,
        method: str,
        raw: Sequence[str],
        segments: Sequence[str],
        depth: int,
        values: tuple[str, ...],
        allowed: set[str],
    ) -> Match | None:
        if depth == len(segments):
            return _choose(node.targets, method, values, allowed)
        segment = segments[depth]
        child = node.literals.get(segment)
        if child is not None:
            match = self._walk(child, method, raw, segments, depth + 1, values, allowed)
            if match is not None:
                return match
        # Dot segments are never a name: whoever builds a file name or URL of a parameter must not climb by it.
        if node.variable is not None and segment and segment not in (".", ".."):
            match = self._walk(node.variable, method, raw, segments, depth + 1, (*values, segment), allowed)
            if match is not None:
                return match
        if node.rests:
            return _choose(node.rests, method, (*values, "/".join(raw[depth:])), allowed)
        return None

    def _add(self, route: Route) -> list[str]:
        if not route.path.startswith("/"):
            return [f"{route.path}: has to start with a slash"]
        if not route.methods or any(method != method.upper() for method in route.methods):
            return [f"{route.path}: needs methods in upper case, has {route.methods!r}"]
        node, names, is_rest = self._root, list[str](), False
        segments = route.path[1:].split("/")
        for position, segment in enumerate(segments):
            variable = _VARIABLE.fullmatch(segment)
            if variable is None:
                if not _LITERAL.fullmatch(segment) or segment in (".", ".."):
                    return [f"{route.path}: {segment!r} is neither literal text nor {{name}} nor {{name:path}}"]
                node = node.literals.setdefault(segment, _Node())
                continue
            if variable[1] in names:
                return [f"{route.path}: {{{variable[1]}}} stands twice"]
            names.append(variable[1])
            if variable[2]:
                if position != len(segments) - 1:
                    return [f"{route.path}: {segment} has to be the last segment"]
                is_rest = True
            else:
                node.variable = node.variable or _Node()
                node = node.variable
        return self._claim(route, node.rests if is_rest else node.targets, tuple(names))

    def _claim(self, route: Route, targets: dict[str, _Target], names: tuple[str, ...]) -> list[str]:
        problems = []
        for method in _methods_of(route):
            if method in targets:
                problems.append(f"{method} {route.path}: also claimed by {targets[method].route.path}")
                continue
            targets[method] = _Target(route, names)
            if not names:
                self._static[method, route.path] = Match(route, _NO_PARAMETERS)
        return problems


def _methods_of(route: Route) -> tuple[str, ...]:
    """Those of the route; GET answers HEAD too."""
    if "GET" in route.methods and "HEAD" not in route.methods:
        return (*route.methods, "HEAD")
    return route.methods


def _header_bytes_of(route: Route) -> int:
    if route.max_header_bytes is not None:
        return route.max_header_bytes
    return ENROLLMENT_HEADER_BYTES if route.max_body_bytes is not None else 0


def _choose(targets: Mapping[str, _Target], method: str, values: tuple[str, ...], allowed: set[str]) -> Match | None:
    target = targets.get(method)
    if target is None:
        allowed.update(targets)
        return None
    return Match(target.route, dict(zip(target.names, values, strict=True)))


_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _decoded(segments: Sequence[str]) -> list[str]:
    """Each segment percent-decoded once, so that an encoded slash does not make a segment of its own."""
    decoded = []
    for segment in segments:
        if _BAD_PERCENT.search(segment):
            raise BadPath("a percent sign without two hexadecimal digits")
        try:
            text = unquote_to_bytes(segment).decode("utf-8")
        except UnicodeDecodeError:
            raise BadPath("not UTF-8") from None
        if _CONTROL.search(text):
            raise BadPath("a control character")
        decoded.append(text)
    return decoded
