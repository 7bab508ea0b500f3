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


def written(width: int, record: dict[str, object]) -> str:
    stream = io.StringIO()
    Output(as_json=False, stream=stream, width=width).record(record)
    return stream.getvalue()


def test_a_list_is_folded_beside_its_label() -> None:
    record: dict[str, object] = {"id": "root", "profiles": ["one-profile", "two-profile", "three-profile"]}
    assert written(40, record) == "id        root\nprofiles  one-profile, two-profile,\n          three-profile\n"


def test_pem_stands_alone_below_the_rest() -> None:
    assert written(40, {"pem": "-----BEGIN\n-----END\n", "id": "x"}) == "id  x\n-----BEGIN\n-----END\n"


def test_text_of_others_is_neither_markup_nor_control() -> None:
    """A subject such as ``[/]`` ended the command once, and escape sequences recolour the terminal."""
    hostile = "[/] [red]x[/red] :smile: \x1b[2J\u202e"
    shown_as = "[/] [red]x[/red] :smile: \\x1b[2J\\u202e"
    assert shown_as in shown(as_json=False, rows=[{"id": hostile, "profiles": [hostile]}])
    assert shown_as in written(80, {"subject": hostile})
    assert json.loads(shown(as_json=True, rows=[{"id": hostile}])) == [{"id": hostile}]
