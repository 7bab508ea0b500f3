"""Tables for people, JSON for scripts."""

from __future__ import annotations

import io
import json

from cspd.admin.output import Output

ROWS = [{"id": "root", "profiles": ["a", "b"], "ocsp_enabled": True, "hidden": 1}]


def shown(*, as_json: bool, rows: list[dict[str, object]]) -> str:
    stream = io.StringIO()
    Output(as_json=as_json, stream=stream).rows(rows, ["id", "profiles", "ocsp_enabled"], empty="no CAs")
    return stream.getvalue()


def test_a_table_has_a_header_and_readable_values() -> None:
    text = shown(as_json=False, rows=ROWS)
    assert text.split() == ["id", "profiles", "ocsp", "enabled", "root", "a", "yes", "b"]


def test_json_has_every_field() -> None:
    assert json.loads(shown(as_json=True, rows=ROWS)) == ROWS


def test_nothing_is_said_in_words_and_in_json() -> None:
    assert shown(as_json=False, rows=[]) == "no CAs\n"
    assert json.loads(shown(as_json=True, rows=[])) == []


def test_a_record_aligns_its_fields() -> None:
    stream = io.StringIO()
    Output(as_json=False, stream=stream).record({"id": "root", "not_after": None})
    assert stream.getvalue() == "id         root\nnot after\n"
