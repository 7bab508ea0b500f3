"""``cspctl tsa`` on an installation in memory: what is asked, printed, locked and recorded."""

from __future__ import annotations

import fcntl
import json
import os
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from cspd.admin.cspctl import main
from cspd.config.secrets import SecretUnavailable
from cspd.http.selfsigned import self_signed
from cspd.keys.config import KeysConfig, Vendor
from cspd.x509.names import format_name
from protocols.tsp.commands.choice import NoChoice, choose
from tests.support.administration import Administration
from tests.support.clocks import FrozenClock


@pytest.fixture
def administration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Administration:
    """``cspctl``, the daemon's operations behind it, software keys, and a state folder."""
    administration = Administration(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    monkeypatch.setattr("cspd.admin.invocation.call", administration.call)
    keys = KeysConfig.model_validate({"software": {"master_key": {"store": "software-master-key"}}})

    found = SimpleNamespace(root=SimpleNamespace(keys=keys))

    monkeypatch.setattr("cspd.admin.invocation.Invocation.loaded_configuration", lambda self: found)
    monkeypatch.setattr("cspd.admin.invocation.Invocation.configuration", lambda self: found)
    return administration


def tsa(administration: Administration, *arguments: str, given: str | None = None) -> Result:
    return administration.run("tsa", *arguments, given=given)


def log_of(administration: Administration) -> list[dict[str, Any]]:
    text = (administration.config.parent / "state" / "tsactl.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def created_key(administration: Administration, *arguments: str) -> str:
    key_id: str = administration.json("tsa", "create-key", "-k", "ECDSAP256", "-y", *arguments)["key_id"]
    return key_id


@pytest.mark.requirement("R-TSA-073", "R-TSA-075")
def test_create_key_prints_the_lines_of_the_guide(administration: Administration) -> None:
    lines = tsa(administration, "create-key", "-k", "ECDSAP256", "-y").stdout.splitlines()
    assert lines[0] == "Using token with label software"
    key_id = lines[1].removeprefix("Created key with id ")
    assert len(key_id) == 40
    assert lines[2:4] == ["CSR:", "-----BEGIN CERTIFICATE REQUEST-----"]
    csr = x509.load_pem_x509_csr("\n".join(lines[3:]).encode())
    assert format_name(csr.subject) == f"CN={key_id}"


@pytest.mark.requirement("R-TSA-075")
def test_csr_goes_to_a_file_alone(administration: Administration, tmp_path: Path) -> None:
    file = tmp_path / "unit.csr"
    file.write_text("something longer than a certificate request" * 100)
    done = tsa(administration, "create-key", "-k", "RSA2048", "-s", "CN=Unit 1, O=Example", "-o", str(file), "-y")
    assert "BEGIN" not in done.stdout
    csr = x509.load_pem_x509_csr(file.read_bytes())
    assert format_name(csr.subject) == "CN=Unit 1,O=Example"


def test_file_that_cannot_be_written_is_told_before_a_key_is_made(administration: Administration) -> None:
    done = tsa(administration, "create-key", "-k", "ECDSAP256", "-o", "/nowhere/unit.csr", "-y")
    assert done.exit_code == 1
    assert done.stderr == "cspctl: /nowhere/unit.csr cannot be written: No such file or directory\n"
    assert tsa(administration, "list-keys").stdout == "no keys\n"


def test_no_file_is_left_when_no_key_is_made(administration: Administration, tmp_path: Path) -> None:
    file = tmp_path / "unit.csr"
    assert tsa(administration, "create-key", "-k", "ECDSAP256", "-o", str(file), given="n\n").exit_code == 1
    assert not file.exists()


@pytest.mark.requirement("R-TSA-074")
@pytest.mark.parametrize("subject", ["cn=Unit", "CN=Unit,o=Example", "CN=Unit+Ou=x"])
def test_attribute_names_are_in_capitals(administration: Administration, subject: str) -> None:
    for command in (("create-key", "-k", "ECDSAP256"), ("create-csr", "-k", "00")):
        done = tsa(administration, *command, "-s", subject, "-y")
        assert done.exit_code == 1
        assert "is not recognised: names of attributes are in capitals" in done.stderr


@pytest.mark.requirement("R-TSA-076")
def test_create_csr_for_a_listed_key_and_for_an_unknown_one(administration: Administration) -> None:
    key_id = created_key(administration)
    assert f"ID:         {key_id}\n" in tsa(administration, "list-keys").stdout
    lines = tsa(administration, "create-csr", "-k", key_id, "-s", "CN=Again", "-y").stdout.splitlines()
    assert lines[:3] == ["Using token with label software", "CSR:", "-----BEGIN CERTIFICATE REQUEST-----"]
    unknown = tsa(administration, "create-csr", "-k", "0" * 40, "-y")
    assert (unknown.exit_code, unknown.stderr) == (1, f"cspctl: there is no key with the id {'0' * 40}\n")


@pytest.mark.requirement("R-TSA-077")
def test_delete_key_asks_and_prints_both_lines(administration: Administration) -> None:
    key_id = created_key(administration)
    assert tsa(administration, "delete-key", "-k", key_id, given="n\n").exit_code == 1
    assert key_id in tsa(administration, "list-keys").stdout
    done = tsa(administration, "delete-key", "-k", key_id, given="y\n")
    assert done.stdout == f"Deleted public key with id {key_id}\nDeleted private key with id {key_id}\n"
    other = created_key(administration)
    assert tsa(administration, "delete-key", "-k", other, "-y").exit_code == 0
    assert tsa(administration, "list-keys").stdout == "no keys\n"


@pytest.mark.requirement("R-TSA-078")
def test_list_keys_prints_type_size_label_id_and_usage(administration: Administration) -> None:
    key_id = administration.json("tsa", "create-key", "-k", "RSA3072", "-y")["key_id"]
    assert tsa(administration, "list-keys").stdout == (
        f"Public Key Object; RSA 3072 bits\n  Label:      tsa\n  ID:         {key_id}\n  Usage:      verify\n"
        f"Private Key Object; RSA 3072 bits\n  Label:      tsa\n  ID:         {key_id}\n  Usage:      sign\n"
    )


@pytest.mark.requirement("R-TSA-086")
def test_only_one_makes_or_deletes_keys(administration: Administration, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = created_key(administration)
    with (administration.config.parent / "state" / "tsactl.lock").open("r+") as other:  # as another process would
        fcntl.flock(other, fcntl.LOCK_EX)
        for command in (("create-key", "-k", "ECDSAP256", "-y"), ("delete-key", "-k", key_id, "-y")):
            done = tsa(administration, *command)
            assert (done.exit_code, done.stdout) == (1, "")
            assert done.stderr == "Error: Another instance of tsactl is running create-key or delete-key\n"
        assert tsa(administration, "list-keys").exit_code == 0
        monkeypatch.setenv("FORCE_MUTEX_OPERATION", "1")
        assert tsa(administration, "delete-key", "-k", key_id, "-y").exit_code == 0
    monkeypatch.delenv("FORCE_MUTEX_OPERATION")
    assert tsa(administration, "create-key", "-k", "ECDSAP256", "-y").exit_code == 0


@pytest.mark.requirement("R-TSA-090")
def test_every_run_is_recorded_without_the_pin(administration: Administration) -> None:
    tsa(administration, "create-key", "-k", "ECDSAP256", "-p", "hunter2", "-y")
    tsa(administration, "create-csr", "-k", "00", "-p", "hunter2", "-y")
    tsa(administration, "create-key", "-k", "DSA", "-p", "hunter2")
    tsa(administration, "delete-key", "-phunter2")
    tsa(administration, "check", "hsm", "-p", "hunter2")
    assert [(each["command"], each["exit_status"]) for each in log_of(administration)] == [
        ("create-key", 0),
        ("create-csr", 1),
        ("create-key", 2),
        ("delete-key", 2),
        ("check hsm", 0),
    ]
    log = administration.config.parent / "state" / "tsactl.log"
    assert "hunter2" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert log_of(administration)[0]["arguments"]["pin"] == "***"


def test_every_run_stands_in_the_audit_trail(administration: Administration) -> None:
    tsa(administration, "check", "hsm", "-p", "hunter2")
    tsa(administration, "create-csr", "-k", "00", "-p", "hunter2", "-y")
    events = administration.json("audit", "tail")
    recorded = [each for each in events if str(each["fields"].get("operation", "")).startswith("tsa ")]
    assert [(each["fields"]["operation"], each["outcome"]) for each in recorded] == [
        ("tsa check hsm", "success"),
        ("tsa create-csr", "failed"),
    ]
    assert "hunter2" not in json.dumps(events)


def test_log_is_not_followed_through_a_link(administration: Administration, tmp_path: Path) -> None:
    (tmp_path / "state" / "tsactl.log").symlink_to(tmp_path / "elsewhere")
    done = tsa(administration, "list-keys")
    assert "warning: this run is not recorded" in done.stderr
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.requirement("R-TSA-087")
def test_stop_reports_the_five_stages_and_deploy_brings_it_back(administration: Administration) -> None:
    administration.daemon.protocols.add("tsp")
    assert tsa(administration, "stop").stdout == (
        "Stopping Virtual Services... Done\nStopping Services... Done\nStopping Deployments... Done\n"
        "Stopping Stateful Sets... Done\nStopping Pods... Done\n"
    )
    again = tsa(administration, "stop")
    assert (again.exit_code, again.stderr) == (1, "cspctl: tsp is out of service already\n")
    assert tsa(administration, "deploy").stdout == "Validating configuration... Done\nDeploying tsa... Done\n"
    assert administration.daemon.withdrawn == set()


TOKENS = {
    "software": {"master_key": {"store": "software-master-key"}},
    "pkcs11": {
        "hsm": {
            "module": "/m.so",
            "token_label": "issuing",
            "pin": {"store": "pin"},
            "vendor": "nshield",
            "sessions": 4,
        },
        "spare": {
            "module": "/m.so",
            "token_label": "spare",
            "pin": {"store": "pin"},
            "vendor": "nshield",
            "sessions": 4,
        },
    },
}


@pytest.mark.requirement("R-TSA-079")
@pytest.mark.parametrize(
    ("default", "label", "vendor", "chosen"),
    [
        ("software", None, None, ("software", "software", None)),
        ("hsm", None, None, ("hsm", "issuing", "/m.so")),
        ("software", "spare", None, ("spare", "spare", "/m.so")),
        ("hsm", None, "nshield", ("hsm", "issuing", "/m.so")),
        ("hsm", None, "none", ("software", "software", None)),
        ("hsm", "other", None, ("unconfigured", "other", "/m.so")),
        ("hsm", "other", "none", ("unconfigured", "other", "/usual/none.so")),
    ],
)
def test_token_is_the_option_then_the_configuration(
    default: str, label: str | None, vendor: str | None, chosen: tuple[str, str, str | None]
) -> None:
    keys = KeysConfig.model_validate({"default": default, **TOKENS})
    found = choose(
        keys,
        label=label,
        vendor=None if vendor is None else Vendor(vendor),
        find_module=lambda vendor: f"/usual/{vendor.value}.so",
    )
    assert (found.provider, found.label, found.module) == chosen


@pytest.mark.requirement("R-TSA-079")
@pytest.mark.parametrize(
    ("keys", "label", "vendor", "reason"),
    [
        (None, None, "none", "the configuration is not loaded"),
        (None, "label", None, "the configuration is not loaded"),
        ({"default": "software", **TOKENS}, None, "nshield", "several tokens of the vendor nshield"),
        ({"software": TOKENS["software"]}, "other", None, "give its vendor with -v"),
        ({"software": TOKENS["software"]}, None, "thales", "no token of the vendor thales"),
        ({"default": "hsm", **TOKENS}, "x", "thales", "the modules of one vendor only: nshield"),
        (None, "label", "thales", "the PKCS#11 module of the vendor thales is not where it is installed"),
    ],
)
def test_what_neither_says_is_an_error(keys: Any, label: str | None, vendor: str | None, reason: str) -> None:
    configured = None if keys is None else KeysConfig.model_validate(keys)
    with pytest.raises(NoChoice, match=reason):
        choose(configured, label=label, vendor=None if vendor is None else Vendor(vendor), find_module=lambda _: None)


class Opened(Exception):
    """Raised in place of opening a token; holds what would be opened."""


@pytest.mark.requirement("R-TSA-079")
@pytest.mark.parametrize(
    ("options", "stored", "typed", "pin"),
    [
        (("-p", "typed"), b"stored", None, b"typed"),
        (("-t", "other"), b"stored", "asked\n", b"asked"),
        (("-t", "other", "-p", "typed"), b"stored", None, b"typed"),
        ((), None, "asked\n", b"asked"),
    ],
    ids=["option", "no stored one for another token", "option for another token", "stored one is lost"],
)
def test_pin_is_the_option_then_the_stored_one_then_asked_for(
    administration: Administration,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    stored: bytes | None,
    typed: str | None,
    pin: bytes,
) -> None:
    use_token(monkeypatch, stored)
    with pytest.raises(Opened) as opened:
        tsa(administration, "list-keys", *options, given=typed)
    assert opened.value.args == (pin,)


@pytest.mark.requirement("R-TSA-079")
def test_with_the_stored_pin_the_daemon_does_it(
    administration: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_token(monkeypatch, b"stored")
    assert tsa(administration, "list-keys").exit_code == 0
    assert ("key-objects", {"provider": "hsm"}) in administration.calls


def use_token(monkeypatch: pytest.MonkeyPatch, stored: bytes | None) -> None:
    """Configure a token whose stored PIN is that, or cannot be read."""

    def resolve(reference: object) -> bytes:
        if stored is None:
            raise SecretUnavailable("it is lost")
        return stored

    keys = KeysConfig.model_validate({"default": "hsm", **TOKENS})
    loaded = SimpleNamespace(root=SimpleNamespace(keys=keys), secrets=SimpleNamespace(resolve=resolve))

    def open_token(invocation: object, chosen: object, pin: bytes, environment: object) -> None:
        raise Opened(pin)

    monkeypatch.setattr("cspd.admin.invocation.Invocation.loaded_configuration", lambda self: loaded)
    monkeypatch.setattr("protocols.tsp.commands.doors.TokenDoor", open_token)


# Security Worlds and client set-ups


def make_world(folder: Path, *, octets: int = 100) -> Path:
    (folder / "local").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "local" / "world").write_bytes(os.urandom(octets))
    (folder / "cknfastrc").write_text("CKNFAST_LOADSHARING=1\n")
    (folder / "config" / "config").write_text("[server_remotecomms]\nimpath_addr=0.0.0.0\nimpath_port=9004\n")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.requirement("R-TSA-082", "R-TSA-083")
@pytest.mark.parametrize("packed", [False, True])
def test_exported_world_is_imported_again(administration: Administration, tmp_path: Path, packed: bool) -> None:
    world = make_world(tmp_path / "kmdata", octets=3_000_000)
    assert tsa(administration, "import-nshield", "-f", str(world), "-y").exit_code == 0
    out = tmp_path / "out"
    assert tsa(administration, "export-nshield", "-o", str(out), *(["-t"] if packed else [])).exit_code == 0
    assert [each.name for each in out.iterdir()] == ["kmdata.tar.gz" if packed else "kmdata"]
    target = tmp_path / "state" / "hsm" / "nshield"
    for source in (out, out / ("kmdata.tar.gz" if packed else "kmdata")):
        (target / "local" / "world").write_bytes(b"another")
        assert tsa(administration, "import-nshield", "-f", str(source), "-y").exit_code == 0
        assert content(target) == content(world)
    assert [each.name for each in target.parent.iterdir()] == ["nshield"]


@pytest.mark.parametrize("fault", ["link", "no world", "impath_addr", "traversal", "twice", "no archive"])
def test_bad_world_leaves_the_former_one(administration: Administration, tmp_path: Path, fault: str) -> None:
    good, bad = make_world(tmp_path / "good"), make_world(tmp_path / "bad")
    assert tsa(administration, "import-nshield", "-f", str(good), "-y").exit_code == 0
    source = bad
    if fault == "link":
        (bad / "local" / "link").symlink_to("/etc/passwd")
    elif fault == "no world":
        (bad / "local").rename(bad / "remote")
    elif fault == "impath_addr":
        (bad / "config" / "config").write_text("impath_addr=10.0.0.1\n")
    else:
        source = tmp_path / "bad.tar"
        name = {"traversal": "../../escaped", "twice": "local/world"}.get(fault)
        if name is None:
            source.write_bytes(b"\x1f\x8b no archive")
        else:
            with tarfile.open(source, "w") as tar:
                tar.add(bad, arcname=".")
                tar.add(bad / "cknfastrc", arcname=name)
    done = tsa(administration, "import-nshield", "-f", str(source), "-y")
    assert done.exit_code == 1, done.output
    assert content(tmp_path / "state" / "hsm" / "nshield") == content(good)
    assert not list(tmp_path.rglob("escaped"))
    assert [each.name for each in (tmp_path / "state" / "hsm").iterdir()] == ["nshield"]


CHRYSTOKI = """\
Chrystoki2 = {
   LibUNIX64 = /usr/safenet/lunaclient/lib/libCryptoki2_64.so;
}
LunaSA Client = {
   ClientPrivKeyFile = /home/me/clientKey.pem;
   ClientCertFile = /home/me/client.pem;
   ServerCAFile = /home/me/ca.pem;
}
"""


def make_client(folder: Path) -> tuple[str, str]:
    (folder / "cert" / "client").mkdir(parents=True)
    (folder / "cert" / "server").mkdir()
    (folder / "cert" / "client" / "oneKey.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    (folder / "cert" / "client" / "one.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "cert" / "server" / "CAFile.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "Chrystoki.conf").write_text(CHRYSTOKI)
    return str(folder / "cert"), str(folder / "Chrystoki.conf")


@pytest.mark.requirement("R-TSA-084")
def test_chrystoki_conf_gets_the_three_paths_and_no_other(administration: Administration, tmp_path: Path) -> None:
    cert, conf = make_client(tmp_path / "luna")
    done = tsa(administration, "import-thales", "-c", cert, "-k", conf, "-y")
    assert done.stdout == "Saving Thales configuration... Done\n"
    kept = tmp_path / "state" / "hsm" / "thales"
    assert (kept / "Chrystoki.conf").read_text() == (
        CHRYSTOKI.replace("/home/me/clientKey.pem", "/usr/safenet/lunaclient/cert/client/oneKey.pem")
        .replace("/home/me/client.pem", "/usr/safenet/lunaclient/cert/client/one.pem")
        .replace("/home/me/ca.pem", "/usr/safenet/lunaclient/cert/server/CAFile.pem")
    )
    assert content(kept / "cert") == content(Path(cert))


@pytest.mark.requirement("R-TSA-084")
@pytest.mark.parametrize("options", ["", "-d x -c y", "-d x -k z", "-d x -c y -k z", "-c y", "-k z"])
def test_import_thales_takes_exactly_one_form(administration: Administration, options: str) -> None:
    assert tsa(administration, "import-thales", *options.split(), "-y").exit_code == 2


@pytest.mark.requirement("R-TSA-084")
def test_dpod_package_is_unpacked(administration: Administration, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as packed:
        packed.writestr("Chrystoki.conf", CHRYSTOKI)
        packed.writestr("server-certificate.pem", "x")
    assert tsa(administration, "import-thales", "-d", str(package), "-y").exit_code == 0
    assert (tmp_path / "state" / "hsm" / "thales" / "Chrystoki.conf").read_text() == CHRYSTOKI
    with zipfile.ZipFile(package, "a") as packed:
        packed.writestr("../escaped", "x")
    assert tsa(administration, "import-thales", "-d", str(package), "-y").exit_code == 1
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.requirement("R-TSA-085")
def test_import_into_a_deployed_authority_warns(administration: Administration, tmp_path: Path) -> None:
    world, (cert, conf) = make_world(tmp_path / "kmdata"), make_client(tmp_path / "luna")
    warning = (
        "Warning: tsa is already deployed! To apply the changes, tsa needs to be redeployed using the tsactl deploy "
        "command.\n"
    )
    for command in (("import-nshield", "-f", str(world)), ("import-thales", "-c", cert, "-k", conf)):
        administration.daemon.protocols.discard("tsp")
        assert warning not in tsa(administration, *command, "-y").stdout
        administration.daemon.protocols.add("tsp")
        assert tsa(administration, *command, "-y").stdout.endswith(f"... Done\n{warning}")


def test_every_command_has_a_help_of_one_whole_line() -> None:
    listed = CliRunner().invoke(main, ["tsa", "--help"]).stdout.partition("Commands:\n")[2]
    assert "create-key" in listed
    assert "..." not in listed


@pytest.mark.parametrize("options", [(), ("--data", "TOKEN", "--digest", "00"), ("--digest", "xyz")])
def test_verify_takes_exactly_one_thing_to_compare(
    administration: Administration, tmp_path: Path, options: tuple[str, ...]
) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\x30\x00")
    (tmp_path / "ca.pem").write_bytes(self_signed(["h"], [], now=FrozenClock().now()).certificate_pem())
    given = [each.replace("TOKEN", str(token)) for each in options]
    done = tsa(administration, "verify", "--token", str(token), "--ca", str(tmp_path / "ca.pem"), *given)
    assert done.exit_code == 2


def test_what_is_no_token_is_no_evidence(administration: Administration, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\x30\x00")
    (tmp_path / "ca.pem").write_bytes(self_signed(["h"], [], now=FrozenClock().now()).certificate_pem())
    done = tsa(administration, "verify", "--token", str(token), "--ca", str(tmp_path / "ca.pem"), "--digest", "00")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "Verification: FAILED")
    assert done.stderr.startswith("unreadable: ")
