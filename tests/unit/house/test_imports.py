"""The arrows of the floor plan (docs/architecture.md): plugins -> protocols -> cspd, and never back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path for top in ("cspd", "protocols", "plugins") for path in (ROOT / top).rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_within(module: str, package: str) -> bool:
    """Whether ``module`` is ``package`` or lies below it."""
    return module == package or module.startswith(package + ".")


def forbidden(path: Path) -> list[str]:
    """The packages that the file may not import."""
    parts = path.relative_to(ROOT).parts
    if parts[:2] == ("cspd", "x509"):
        ours = {"cspd"} | {"protocols", "plugins"}
        return sorted(ours)
    if parts[0] == "cspd":
        return ["protocols", "plugins"]
    if parts[0] == "protocols" and len(parts) > 2:
        others = {folder.name for folder in (ROOT / "protocols").iterdir() if folder.is_dir()} - {parts[1]}
        return ["plugins", *sorted(f"protocols.{other}" for other in others)]
    return []


def violations(path: Path) -> list[str]:
    """The imports of a file that point the wrong way."""
    wrong = []
    for module in imported_modules(path):
        for package in forbidden(path):
            if is_within(module, package) and not (package == "cspd" and is_within(module, "cspd.x509")):
                wrong.append(module)
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    assert violations(path) == []


def test_the_check_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: each forbidden direction, absolute and relative."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for folder in ("cspd/x509", "cspd/http", "protocols/acme", "protocols/ocsp"):
        (tmp_path / folder).mkdir(parents=True)
    cases = {
        "cspd/http/a.py": "import protocols.acme.service",
        "cspd/http/b.py": "from plugins import acme",
        "cspd/x509/c.py": "from cspd.refusals import Malformed",
        "cspd/x509/d.py": "from ..http import message",
        "protocols/acme/e.py": "from protocols.ocsp.codec import decode",
        "protocols/acme/f.py": "def late():\n    from protocols import ocsp",
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
        assert violations(tmp_path / name), name
    (tmp_path / "cspd/x509/g.py").write_text("from cspd.x509.names import parse\nimport asn1crypto.x509")
    assert violations(tmp_path / "cspd/x509/g.py") == []
