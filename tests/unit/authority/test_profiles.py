"""Reading profile files: strict, and all problems at once."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from cspd.authority.durations import CalendarDuration
from cspd.authority.profiles import ProfileProblems, load_profiles
from cspd.keys.values import KeyType

GOOD = """
group = "g"
title = "G"
category = "subscriber"
[defaults]
issuer = "issuing"
modes = ["csr"]
validity = { default = "P1Y" }
key_usage = ["digitalSignature"]
extended_key_usage = { mode = "absent" }
key_types = ["ec-p256"]
[profiles.one]
description = "One."
"""


def problems_of(folder: Path, **files: str) -> list[str]:
    """What is wrong with the files, without their folder."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    with pytest.raises(ProfileProblems) as found:
        load_profiles([folder])
    return [str(problem).removeprefix(f"{folder}/") for problem in found.value.problems]


def test_a_profile_takes_the_defaults_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text(GOOD + 'key_types = ["rsa-2048"]\n[profiles.two]\ndescription = "Two."\n')
    profiles = load_profiles([tmp_path])
    assert profiles["one"].key_types == {KeyType.RSA_2048}
    assert profiles["two"].key_types == {KeyType.EC_P256}


@pytest.mark.requirement("R-PRO-001")
def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        a=GOOD + 'colour = "red"\nsubject = { required = ["XX"] }\n[profiles."Two_2"]\ndescription = "Two."\n',
        b=GOOD + 'request_extensions = ["netscape"]\nkey_usage = ["signing"]\n',
        c=GOOD.replace('["ec-p256"]', '["dsa"]') + '[profiles.two]\ndescription = "Two."\n',
        d="group = ",
        e=GOOD,
        f=GOOD,
    )
    assert [problem.split(": ")[1] for problem in found if not problem.startswith("d.toml")] == [
        "profiles.one.subject.required.0",
        "profiles.one.colour",
        "profiles.Two_2",
        "profiles.one.key_usage.0",
        "profiles.one.request_extensions.0",
        "defaults.key_types.0",  # once, although two profiles inherit it
        "profiles.one",
    ]
    assert found[4].endswith("msTemplateName, ntdsCaSecurityExt, pivInterimIndicator")
    assert found[-1] == "f.toml: profiles.one: is defined already"


UNKNOWN = {
    "an unknown key": ('colour = "red"', "profiles.one.colour"),
    "an unknown key below": ("subject = { colour = 1 }", "profiles.one.subject.colour"),
    "an unknown attribute": ('subject = { required = ["XX"] }', "profiles.one.subject.required.0"),
    "an unknown key type": ('key_types = ["dsa"]', "profiles.one.key_types.0"),
    "no key usage": ("key_usage = []", "profiles.one.key_usage"),
    "a lifetime in words": ('validity = { default = "1 year" }', "profiles.one.validity.default"),
    "a lifetime of nothing": ('validity = { default = "P0D" }', "profiles.one.validity.default"),
    "fixed and maximum": ('validity = { fixed = "P1D", maximum = "P2D" }', "profiles.one.validity"),
    "a path length without CA": ("basic_constraints = { path_length = 0 }", "profiles.one.basic_constraints"),
    "keyCertSign without CA": ('key_usage = ["keyCertSign"]', "profiles.one"),
    "usages without mode fixed": (
        'extended_key_usage = { mode = "absent", values = ["serverAuth"] }',
        "profiles.one.extended_key_usage",
    ),
    "mode fixed without usages": ('extended_key_usage = { mode = "fixed" }', "profiles.one.extended_key_usage"),
    "requested usages that are not allowed": ('extended_key_usage = { mode = "request" }', "profiles.one"),
    "no-check when OCSP is on": (
        'extensions = { ocsp_no_check = "when-ocsp-enabled" }',
        "profiles.one.extensions.ocsp_no_check",
    ),
}


@pytest.mark.parametrize(("line", "key"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_wrong_profile_is_refused_by_file_and_key(line: str, key: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, g=f"{GOOD}{line}\n")
    assert problem.startswith(f"g.toml: {key}: ")


def test_a_missing_directory_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ProfileProblems, match="is not a directory"):
        load_profiles([tmp_path / "none"])


def test_profiles_of_a_second_directory_are_added(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "g.toml").write_text(GOOD)
    (tmp_path / "b" / "g.toml").write_text(GOOD.replace("profiles.one", "profiles.own"))
    assert set(load_profiles([tmp_path / "a", tmp_path / "b"])) == {"one", "own"}


@pytest.mark.requirement("R-CEGI-004")
def test_ids_are_opaque(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text(GOOD + '[profiles.a_b]\ndescription = "1"\n[profiles.a-b]\ndescription = "2"\n')
    profiles = load_profiles([tmp_path])
    assert (profiles["a_b"].description, profiles["a-b"].description) == ("1", "2")


@pytest.mark.parametrize("profile_id", ["_a", "a_", "a__b", "a-_b", "a.b", "A", "a" * 81])
def test_what_is_no_id_is_refused(profile_id: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, g=f'{GOOD}[profiles."{profile_id}"]\ndescription = "1"\n')
    assert problem.startswith(f"g.toml: profiles.{profile_id}: a profile id is")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("P1Y", "2024-02-29", "2025-02-28"),
        ("P1M", "2026-01-31", "2026-02-28"),
        ("P1Y2M10D", "2026-11-24", "2028-02-03"),
        ("PT36H", "2026-11-24", "2026-11-25T12:00:00"),
        ("P20Y", "2026-11-24", "2046-11-24"),
    ],
)
def test_lifetimes_follow_the_calendar(text: str, start: str, end: str) -> None:
    assert CalendarDuration.parse(text).after(datetime.fromisoformat(start)) == datetime.fromisoformat(end)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1YT", "P0D", "1Y", "P-1D", "P1W", "P99999Y"])
def test_what_is_no_lifetime_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        CalendarDuration.parse(text)
