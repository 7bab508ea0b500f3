"""``make conformance``: which requirement is proven by which test.

Reads docs/requirements.toml, collects the tests (without running them; CI runs them), and writes docs/conformance.md.
A requirement is proven when a collected test claims it, waived when the file says why, open otherwise.
"""

from __future__ import annotations

import io
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "docs" / "requirements.toml"
REPORT = ROOT / "docs" / "conformance.md"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of the specification."""

    text: str
    waived: str | None = None


def load_requirements(path: Path = REQUIREMENTS) -> dict[str, Requirement]:
    """All requirements by id, in the file's order; raises TypeError on a key that is not known."""
    return {name: Requirement(**fields) for name, fields in tomllib.loads(path.read_text()).items()}


class ClaimCollector:
    """A pytest plugin that notes which test claims which requirement."""

    def __init__(self) -> None:
        self.claims: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Read the markers of every collected test."""
        for item in items:
            for marker in item.iter_markers("requirement"):
                for requirement in marker.args:
                    self.claims[requirement].add(item.nodeid.split("[", 1)[0])


def collect_claims() -> Mapping[str, set[str]]:
    """Collect the whole suite; raises RuntimeError when the collection fails."""
    collector = ClaimCollector()
    listing = io.StringIO()
    with redirect_stdout(listing):
        status = pytest.main(["--collect-only", "-q", "-q", str(ROOT / "tests")], plugins=[collector])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"collecting the tests failed: {status!r}\n{listing.getvalue()}")
    return collector.claims


def render(requirements: Mapping[str, Requirement], claims: Mapping[str, set[str]]) -> str:
    """The report, Markdown."""
    proven = [name for name in requirements if claims.get(name)]
    waived = [name for name, requirement in requirements.items() if requirement.waived and name not in proven]
    still_open = [name for name in requirements if name not in proven and name not in waived]
    lines = [
        "# Conformance",
        "",
        "Written by `make conformance` from `docs/requirements.toml` and the markers of the tests. *Proven*: a test",
        "of CI claims the requirement and fails if it does not hold. *Waived*: with the reason. *Open*: rest.",
        "",
        f"{len(requirements)} requirements: {len(proven)} proven, {len(waived)} waived, {len(still_open)} open.",
    ]
    for title, names in (("Open", still_open), ("Waived", waived), ("Proven", proven)):
        lines += ["", f"## {title}", ""]
        if not names:
            lines.append("None.")
            continue
        lines += [
            "| Id | Requirement | " + {"Open": "", "Waived": "Reason", "Proven": "Tests"}[title] + " |",
            "|---|---|---|",
        ]
        for name in names:
            requirement = requirements[name]
            why = ""
            if title == "Waived":
                why = requirement.waived or ""
            elif title == "Proven":
                tests = sorted(claims[name])
                why = ", ".join(f"`{test.removeprefix('tests/')}`" for test in tests[:4])
                why += f" and {len(tests) - 4} more" if len(tests) > 4 else ""
            lines.append(f"| {name} | {_cell(requirement.text)} | {_cell(why)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def main(arguments: Sequence[str] = ()) -> int:
    """Write the report, or with ``--check`` hold the one that is there against what it should be.

    Gives 0, or 1 when a test claims an unknown requirement or the report is out of date.
    """
    requirements = load_requirements()
    claims = collect_claims()
    unknown = sorted(set(claims) - set(requirements))
    if unknown:
        print("claimed by tests and not in docs/requirements.toml:", ", ".join(unknown), file=sys.stderr)
        return 1
    report = render(requirements, claims)
    if "--check" in arguments:
        if REPORT.read_text() != report:
            print("docs/conformance.md is out of date: make conformance", file=sys.stderr)
            return 1
    else:
        REPORT.write_text(report)
    print(report.splitlines()[5])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
