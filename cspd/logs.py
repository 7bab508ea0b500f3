"""Where log events go: JSON for machines or text for people, by level for each part of the server.

An event's fields are ``time`` (RFC 3339, UTC), ``level``, ``system`` (the part of the house that speaks, for example
``protocols.acme.service``), ``event`` (a stable name, if the call gave one), ``request_id`` (if it belongs to a
request), ``message``, and for a failure its ``traceback``. Other fields that a call gave are kept when they are plain
values (R-PLAT-070). What a secret is never gets here: nobody logs one; and what has a name that tells of one is left
out even so (R-PLAT-079).

Where other programs look for names of their own, a call gives them as ``record``, a mapping: its members become members
of the line as they are, nested objects too, in place of a field of that name. A blank follows each colon, as in the
guide's filters (``"endpoint": "ID"``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, formatEvent
from zope.interface import implementer

from cspd.correlation import REQUEST_ID

SEVERITIES = {"TRACE": 0, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50, "OFF": 60}
"""The levels of R-PLAT-074. TRACE is a debug event with the field ``trace`` true."""

_OF_TWISTED = {
    LogLevel.debug: "DEBUG",
    LogLevel.info: "INFO",
    LogLevel.warn: "WARN",
    LogLevel.error: "ERROR",
    LogLevel.critical: "FATAL",
}
_SECRET_NAME = re.compile(r"secret|password|passphrase|private|(?:^|_)pin(?:_|$)|token|authorization", re.IGNORECASE)
_FIELDS_BY_NAME = re.compile(r"(?:[^{}]|\{\w+\})*")
"""A format that is filled by names alone, without the attributes, items, calls and conversions that Twisted knows."""
_OWN_FIELDS = frozenset({"time", "level", "system", "event", "request_id", "message", "traceback", "trace", "record"})
_LEFT_OUT = "(left out)"
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
_MAX_TEXT = 16384  # of one field; a client cannot make a line longer than this


class LevelFilter:
    """Which events are wanted: the level of the nearest namespace above, or the default. Changeable while running."""

    def __init__(self, default: str = "INFO", namespaces: Mapping[str, str] | None = None) -> None:
        self.change(default, namespaces or {})

    def change(self, default: str, namespaces: Mapping[str, str]) -> None:
        """Take new levels, by the names of :data:`SEVERITIES`."""
        self._default = SEVERITIES[default]
        self._namespaces = {name: SEVERITIES[level] for name, level in namespaces.items()}
        self._known: dict[str, int] = {}

    def wants(self, event: LogEvent) -> bool:
        """Whether the event is at or above the level of its namespace."""
        namespace = str(event.get("log_namespace", ""))
        threshold = self._known.get(namespace)
        if threshold is None:
            threshold = self._threshold(namespace)
            if len(self._known) < 10_000:
                self._known[namespace] = threshold
        return SEVERITIES[level_of(event)] >= threshold and threshold < SEVERITIES["OFF"]

    def _threshold(self, namespace: str) -> int:
        while namespace:
            if namespace in self._namespaces:
                return self._namespaces[namespace]
            namespace = namespace.rpartition(".")[0]
        return self._default


def level_of(event: LogEvent) -> str:
    """The name of the event's level, of :data:`SEVERITIES`."""
    level = _OF_TWISTED.get(cast(Any, event.get("log_level")), "INFO")
    return "TRACE" if level == "DEBUG" and event.get("trace") else level


def as_json(event: LogEvent) -> str:
    """The event as one line of JSON, without the line's end."""
    line: dict[str, Any] = {
        "time": _time(event),
        "level": level_of(event),
        "system": str(event.get("log_namespace", "-")),
    }
    if event.get("event") is not None:
        line["event"] = str(event["event"])
    if request_id := _request_id(event):
        line["request_id"] = request_id
    line["message"] = _limited(_message(event))
    if (failure := event.get("log_failure")) is not None:
        line["traceback"] = _limited(failure.getTraceback())
    for name, value in event.items():
        if name.startswith("log_") or name in _OWN_FIELDS or not _is_plain(value):
            continue
        line[name] = _LEFT_OUT if _is_secret(name) else _limited(value)
    if (record := event.get("record")) is not None:
        line.update(_without_secrets(record))
    return _encode(line)


def as_text(event: LogEvent) -> str:
    """The event as people read it in a terminal."""
    request_id = _request_id(event)
    request = f" [{request_id}]" if request_id else ""
    if event.get("log_failure") is None:
        text = _message(event)
    else:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    return f"{_time(event)} {level_of(event):5} {event.get('log_namespace', '-')}{request}: {_limited(text.rstrip())}"


@implementer(ILogObserver)
class LogWriter:
    """Writes the wanted events to a stream or to a file that it can open anew."""

    def __init__(
        self, *, levels: LevelFilter, as_line: Callable[[LogEvent], str] = as_json, stream: IO[str] | None = None
    ) -> None:
        """Without a stream, :meth:`open` has to name a file before the first event."""
        self.levels = levels
        self.as_line = as_line
        self._stream = stream
        self._file: Path | None = None

    def __call__(self, event: LogEvent) -> None:
        """Write one line; see :class:`twisted.logger.ILogObserver`."""
        if self._stream is None or not self.levels.wants(event):
            return
        try:
            self._stream.write(self.as_line(event).replace("\n", "\n  ") + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a full disk or a closed terminal must not stop what is being logged
            return

    def open(self, file: Path, owner: tuple[int | None, int | None] = (None, None)) -> None:
        """Write to ``file`` from now on; made with mode 0640 whatever the umask (R-PLAT-077).

        ``owner`` is the user and group that root will become. Raises OSError.
        """
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o640)
        uid, gid = owner
        if os.geteuid() == 0 and owner != (None, None):
            os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
        previous, self._stream = self._stream, os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        if self._file is not None and previous is not None:
            previous.close()
        self._file = file

    def close(self) -> None:
        """Stop writing; closes the file that :meth:`open` opened."""
        stream, self._stream = self._stream, None
        if self._file is not None and stream is not None:
            stream.close()
            self._file = None

    def reopen(self) -> None:
        """Open the file anew (SIGUSR1, after a log rotation moved it away); nothing for a stream."""
        if self._file is not None:
            self.open(self._file)


def _request_id(event: LogEvent) -> str:
    """Of the call that logs, or of the request during which it logs."""
    return str(event.get("request_id") or REQUEST_ID.get())


def _message(event: LogEvent) -> str:
    """What Twisted's ``formatEvent`` gives, for the commonest formats by a tenth of its work."""
    template = event.get("log_format")
    if isinstance(template, str) and "log_flattened" not in event and _is_filled_by_names(template):
        with suppress(Exception):  # a field that is missing or does not print: Twisted tells
            return template.format_map(event)
    return formatEvent(event)


# Names and formats are those in the code: few, and each comes again and again.
@lru_cache(maxsize=1024)
def _is_filled_by_names(template: str) -> bool:
    return _FIELDS_BY_NAME.fullmatch(template) is not None


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _time(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(float(event.get("log_time", 0.0)), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _without_secrets(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _LEFT_OUT
        if _is_secret(name)
        else value
        if _is_plain(value)
        else _without_secrets(value)
        if isinstance(value, Mapping)
        else value
        for name, value in record.items()
    }


def _limited(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        return value[:_MAX_TEXT] + "..."
    return value
