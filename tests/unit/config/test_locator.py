from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cspd.config.locator import locate_keys
from cspd.config.problems import KeyPath

TEXT = '''\
# a comment with "quotes" and = signs
top = 1

[server]   # behind the header
mode = "demo"
"quoted key" = "a # b"
multi = """
one
two \\""" three""""
literal = \'\'\'x
y\'\'\'
dotted.key.here = true

[listeners.public]
protocols = [
    "acme",  # first

    "ocsp",
]
tls = { certificate = "a.pem", versions = [1, 2], inner = { deep = 3 } }

[[groups]]
name = "one"
[[groups]]
name = "two"
[groups.sub]
x = 1
[[groups.items]]
y = 1
[[groups.items]]
y = 2026-11-24T12:00:00Z
'''


def test_every_key_is_found_on_its_line() -> None:
    """One text with every form that TOML has for a key and a value."""
    lines = locate_keys(TEXT)
    expected: dict[KeyPath, str] = {
        ("top",): "top = 1",
        ("server",): "[server]",
        ("server", "mode"): 'mode = "demo"',
        ("server", "quoted key"): '"quoted key"',
        ("server", "multi"): "multi =",
        ("server", "literal"): "literal =",
        ("server", "dotted", "key", "here"): "dotted.key",
        ("listeners", "public", "protocols", 1): '"ocsp",',
        ("listeners", "public", "tls", "inner", "deep"): "tls = {",
        ("listeners", "public", "tls", "versions", 1): "tls = {",
        ("groups", 0, "name"): 'name = "one"',
        ("groups", 1, "name"): 'name = "two"',
        ("groups", 1, "sub", "x"): "x = 1",
        ("groups", 1, "items", 1, "y"): "y = 2026",
    }
    texts = TEXT.splitlines()
    assert {key: texts[lines[key] - 1].strip()[: len(text)] for key, text in expected.items()} == {
        key: text.strip() for key, text in expected.items()
    }


def test_every_key_of_the_text_has_a_line() -> None:
    assert set(_keys(tomllib.loads(TEXT))) <= set(locate_keys(TEXT))


def _keys(value: Any, at: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        return [key for name, inner in value.items() for key in [(*at, name), *_keys(inner, (*at, name))]]
    if isinstance(value, list):
        return [key for index, inner in enumerate(value) for key in [(*at, index), *_keys(inner, (*at, index))]]
    return []


_names = st.text(alphabet="ab-_", min_size=1, max_size=3) | st.sampled_from(['"a.b"', "'x#y'", '"\\"q"', '"[z]"'])
_strings = st.sampled_from(['"a"', "'b]'", '"\\\\"', '"""x\n"y" z"""', "'''a\n'b''''", '"#"', '"\\u00e9}"'])
_scalars = st.sampled_from(["1", "true", "2026-11-24", "1.5", "0xff"]) | _strings
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n# ]\n".join(items) + "\n]")
        | st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=2), inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{name} = {value}" for name, value in table.items()) + "}"
        )
    ),
    max_leaves=8,
)
_lines = st.one_of(
    st.tuples(_names, _values).map(lambda pair: f"{pair[0]} = {pair[1]} # c"),
    st.lists(_names, min_size=1, max_size=3).map(lambda names: f"[{' . '.join(names)}]"),
    st.lists(_names, min_size=1, max_size=2).map(lambda names: f"[[{'.'.join(names)}]]"),
    st.just(""),
)


@settings(derandomize=True, max_examples=300)
@given(st.lists(_lines, max_size=10))
def test_locator_finds_all_that_tomllib_finds(lines: list[str]) -> None:
    """Whatever text ``tomllib`` accepts, each of its keys has a line that lies inside the text."""
    text = "\n".join(lines)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = locate_keys(text)
    assert set(_keys(values)) <= set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
