"""The conformance report says what the requirements file and the tests say."""

from __future__ import annotations

from tests.support.conformance import Requirement, load_requirements, render

REQUIREMENTS = {
    "R-CA-001": Requirement("Proven thing."),
    "R-CA-002": Requirement("Waived thing.", waived="belongs to another system"),
    "R-CA-003": Requirement("Open thing with a | in it."),
}


def test_each_requirement_stands_in_its_own_part() -> None:
    report = render(REQUIREMENTS, {"R-CA-001": {"tests/unit/a.py::test_b"}})
    open_part, rest = report.split("## Waived")
    waived_part, proven_part = rest.split("## Proven")
    assert "3 requirements: 1 proven, 1 waived, 1 open." in open_part
    assert "| R-CA-003 | Open thing with a \\| in it. |" in open_part
    assert "belongs to another system" in waived_part
    assert "`unit/a.py::test_b`" in proven_part


def test_the_requirements_file_has_the_first_storey() -> None:
    names = set(load_requirements())
    assert {"R-CA-001", "R-CA-072", "R-PRO-001", "R-PRO-018", "R-CEG-099", "R-CEG-121", "R-PLAT-100"} <= names
