from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure

from cspd.logs import LevelFilter, LogWriter, as_json, as_text


class Sink:
    """A logger whose events go to one writer."""

    def __init__(self, writer: LogWriter, namespace: str = "protocols.acme.service") -> None:
        self.log = Logger(namespace, observer=writer)


def event(log_format: str, **fields: Any) -> LogEvent:
    namespace = "protocols.acme.service"
    return {"log_time": 0.0, "log_level": LogLevel.info, "log_namespace": namespace, "log_format": log_format, **fields}


def json_writer(**levels: str) -> tuple[io.StringIO, LogWriter]:
    stream = io.StringIO()
    return stream, LogWriter(levels=LevelFilter("INFO", levels), stream=stream)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.requirement("R-PLAT-070")
def test_event_is_one_json_object_with_the_fields_that_people_filter_by() -> None:
    stream, writer = json_writer()
    writer(event("issued {serial}\nto {who}", log_time=0.5, serial=7, who="x", event="issued", request_id="r1"))
    assert lines(stream) == [
        {
            "time": "1970-01-01T00:00:00.500Z",
            "level": "INFO",
            "system": "protocols.acme.service",
            "event": "issued",
            "request_id": "r1",
            "message": "issued 7\nto x",
            "serial": 7,
            "who": "x",
        }
    ]


def test_failure_has_its_traceback() -> None:
    stream, writer = json_writer()
    Sink(writer).log.failure("broken", Failure(ValueError("why")))
    [line] = lines(stream)
    assert line["level"] == "FATAL"
    assert "ValueError: why" in line["traceback"]


@pytest.mark.requirement("R-PLAT-079")
@pytest.mark.parametrize("name", ["password", "hsm_pin", "pin", "challenge_secret", "private_key", "access_token"])
def test_field_whose_name_tells_of_a_secret_is_left_out(name: str) -> None:
    stream, writer = json_writer()
    Sink(writer).log.info("hello", **{name: "hunter2"})
    assert "hunter2" not in stream.getvalue()


def test_record_of_a_call_stands_in_the_line_as_it_is() -> None:
    stream, writer = json_writer()
    record = {"level": "info", "msg": "Asked.Failed", "cause": {"cause": {"msg": "BadClock"}, "pin": "1234"}}
    writer(event("said no", record=record))
    [line] = lines(stream)
    assert (line["level"], line["msg"], line["message"]) == ("info", "Asked.Failed", "said no")
    assert line["cause"] == {"cause": {"msg": "BadClock"}, "pin": "(left out)"}
    assert "record" not in line


def test_a_blank_follows_each_colon_as_filters_expect() -> None:
    stream, writer = json_writer()
    writer(event("asked", endpoint="qualified"))
    assert '"endpoint": "qualified"' in stream.getvalue()


@pytest.mark.requirement("R-PLAT-074")
def test_levels_are_those_of_the_nearest_namespace_and_change_while_running() -> None:
    stream, writer = json_writer(**{"protocols": "WARN", "protocols.acme": "TRACE", "protocols.acme.jws": "OFF"})
    for namespace in ("cspd.app", "protocols.ocsp.service", "protocols.acme.service", "protocols.acme.jws"):
        log = Sink(writer, namespace).log
        log.debug("trace", trace=True)
        log.debug("debug")
        log.info("info")
        log.critical("fatal")
    assert [(line["system"], line["level"]) for line in lines(stream)] == [
        ("cspd.app", "INFO"),
        ("cspd.app", "FATAL"),
        ("protocols.ocsp.service", "FATAL"),
        ("protocols.acme.service", "TRACE"),
        ("protocols.acme.service", "DEBUG"),
        ("protocols.acme.service", "INFO"),
        ("protocols.acme.service", "FATAL"),
    ]
    writer.levels.change("OFF", {})
    Sink(writer, "cspd.app").log.critical("nobody hears this")
    assert len(lines(stream)) == 7


def test_name_of_a_namespace_is_not_a_prefix_of_a_word() -> None:
    stream, writer = json_writer(**{"protocols.ac": "OFF"})
    Sink(writer).log.info("heard")
    assert len(lines(stream)) == 1


def test_text_cannot_be_made_to_look_like_two_events() -> None:
    stream = io.StringIO()
    writer = LogWriter(levels=LevelFilter(), as_line=as_text, stream=stream)
    forged = "x\n2026-11-24T12:00:00Z INFO forged"
    writer(event("host {host}", log_level=LogLevel.warn, host=forged, request_id="r1"))
    first, second = stream.getvalue().splitlines()
    assert first == "1970-01-01T00:00:00.000Z WARN  protocols.acme.service [r1]: host x"
    assert second.startswith("  ")


@pytest.mark.requirement("R-PLAT-077")
def test_log_file_has_mode_0640_whatever_the_umask(tmp_path: Path) -> None:
    writer = LogWriter(levels=LevelFilter())
    previous = os.umask(0)
    try:
        writer.open(tmp_path / "cspd.log")
    finally:
        os.umask(previous)
    writer.close()
    assert stat.S_IMODE((tmp_path / "cspd.log").stat().st_mode) == 0o640


def test_reopening_goes_on_in_a_new_file_after_rotation(tmp_path: Path) -> None:
    file = tmp_path / "cspd.log"
    writer = LogWriter(levels=LevelFilter())
    writer.open(file)
    log = Logger("x", observer=writer)
    log.info("one")
    file.rename(tmp_path / "cspd.log.1")
    log.info("two")
    writer.reopen()
    log.info("three")
    writer.close()
    assert [json.loads(line)["message"] for line in (tmp_path / "cspd.log.1").read_text().splitlines()] == [
        "one",
        "two",
    ]
    assert [json.loads(line)["message"] for line in file.read_text().splitlines()] == ["three"]


def test_full_disk_does_not_stop_the_caller() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    Logger("x", observer=LogWriter(levels=LevelFilter(), stream=Full())).emit(LogLevel.info, "lost")


@pytest.mark.parametrize(
    "template",
    [
        "",
        "plain",
        "{name} and {name}",
        "{name!r}",
        "{name:>9}",
        "{call()}",
        "{name.real}",
        "{{literal}}",
        "{missing}",
        "{}",
        "{",
        None,
    ],
)
@pytest.mark.parametrize("as_line", [as_json, as_text])
def test_messages_are_those_that_twisted_formats(template: str | None, as_line: Callable[[LogEvent], str]) -> None:
    event: LogEvent = {"log_time": 0.0, "log_level": LogLevel.info, "name": 7, "call": lambda: "called"}
    if template is not None:
        event["log_format"] = template
    message = formatEvent(event)
    line = as_line(event)
    assert json.loads(line)["message"] == message if as_line is as_json else line.endswith(f": {message}")


def test_a_field_that_does_not_print_is_told_by_twisted() -> None:
    class Broken:
        def __format__(self, spec: str) -> str:
            raise ZeroDivisionError

    line = as_text({"log_time": 0.0, "log_level": LogLevel.info, "log_format": "{field}", "field": Broken()})
    assert "Unable to format event" in line
