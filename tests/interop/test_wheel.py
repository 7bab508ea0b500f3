"""The wheel, installed into an environment of its own, is the whole product: no file of the checkout is used."""

from __future__ import annotations

import json
import shutil
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import READY, ROOT
from tests.support.processes import Process, free_port, program, run, wait_until

pytestmark = pytest.mark.interop

NOT_SHIPPED = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "var", "__pycache__")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel in it."""

    wheel: Path
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def cspctl(self) -> Path:
        """Its console script."""
        return self.folder / "bin" / "cspctl"

    def value_of(self, expression: str, *imports: str) -> str:
        """What an expression is there, as text."""
        return run([self.python, "-c", f"import {', '.join(imports)}; print({expression})"], cwd=self.folder).stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Built from a copy, so that nothing is left in the checkout; nothing is downloaded.

    The libraries are those of the running environment, found by a path file, which does not lead to the checkout: path
    files of that environment (an editable installation) are not followed.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source, made, virtual = folder / "source", folder / "made", folder / "environment"
    shutil.copytree(ROOT, source, ignore=NOT_SHIPPED)
    here = Path(sysconfig.get_path("scripts")) / "python"
    pip = [here, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", source, "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", made])
    [wheel] = made.iterdir()
    run([here, "-m", "venv", "--without-pip", virtual])
    run([*pip, "--python", virtual / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index", wheel])
    [packages] = virtual.glob("lib/python*/site-packages")
    (packages / "running-environment.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Environment(wheel, virtual)


def test_wheel_holds_everything_and_no_tests(environment: Environment) -> None:
    names = set(zipfile.ZipFile(environment.wheel).namelist())
    tops = {name.partition("/")[0].partition("-")[0] for name in names}
    assert tops == {"cspd", "protocols", "plugins", "twisted"}
    assert {name for name in names if name.startswith("twisted/")} == {"twisted/plugins/cspd_plugin.py"}
    for package in ("cspd", "protocols", "plugins"):
        in_checkout = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert in_checkout <= names
        assert f"{package}/py.typed" in names
    assert "cspd/store/migrations/script.py.mako" in names
    data = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    conf = {str(path.relative_to(ROOT)) for path in (ROOT / "conf").rglob("*") if path.is_file()}
    assert data == {f"share/cspd/{name}" for name in conf}


def test_installed_packages_are_used(environment: Environment) -> None:
    for package in ("cspd", "protocols", "plugins"):
        assert environment.value_of(f"{package}.__file__", package).startswith(f"{environment.folder}/lib/")
    found = environment.value_of("cspd.config.shipped.shipped_profiles()", "cspd.config.shipped").strip()
    assert found == str(environment.folder / "share" / "cspd" / "conf" / "profiles")
    plugins = environment.value_of(
        "[p.tapname for p in twisted.plugin.getPlugins(twisted.application.service.IServiceMaker)]",
        "twisted.plugin",
        "twisted.application.service",
    )
    assert "'cspd'" in plugins


@pytest.mark.requirement("R-PLAT-001")
def test_installed_daemon_serves(environment: Environment, tmp_path: Path) -> None:
    """cspctl init, twistd, and what clients see; from another folder than the checkout."""
    folder, http, https = tmp_path / "demo", free_port(), free_port()
    version = run([environment.cspctl, "--config", folder / "cspd.toml", "version"], cwd=tmp_path).stdout
    assert version.endswith(", not initialised\n")
    ports = ("--http-port", str(http), "--https-port", str(https))
    run([environment.cspctl, "init", "--demo", folder, *ports], cwd=tmp_path)
    twistd = [str(environment.python), "-c", "from twisted.scripts.twistd import run; run()"]
    options = ["--nodaemon", "--pidfile=", "cspd", "--config", str(folder / "cspd.toml")]
    daemon = Process([*twistd, *options], log=tmp_path / "log")
    try:
        wait_until(lambda: READY in daemon.output() or not daemon.is_running, what="the daemon")
        assert daemon.is_running, daemon.output()
        curl = [program("curl"), "--silent", "--fail", "--cacert", folder / "pki" / "root.pem"]
        directory = f"https://localhost:{https}/acme/demo/demo~issuing/tls-server/directory"
        assert "newNonce" in json.loads(run([*curl, directory]).stdout)
        run([*curl, "--output", tmp_path / "crl", f"http://localhost:{http}/crl/demo/issuing/crl.crl"])
        status = run([environment.cspctl, "--json", "--config", folder / "cspd.toml", "status"], cwd=tmp_path).stdout
        assert json.loads(status)["protocols"] == [
            "acme",
            "cmp",
            "est",
            "mdm",
            "monitoring",
            "ocsp",
            "repository",
            "scep",
            "tsp",
            "wstep",
        ]
    finally:
        daemon.stop()
