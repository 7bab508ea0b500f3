"""A table of broken configurations, each with the exact report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused, Problem
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import SOUND, install, write_tls

pytestmark = [pytest.mark.requirement("R-PLAT-003"), pytest.mark.requirement("R-CEG-026")]

Edit = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What is done to the sound configuration, and what is said of it (``FILE`` is cspd.toml, ``DIR`` its folder)."""

    name: str
    edits: tuple[Edit, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] | None = None
    report: tuple[str, ...]
    proves: tuple[str, ...] = ()
    """Requirements that this row checks, beside those of the whole table."""


PRODUCTION: Edit = ('mode = "demo"\n', "")
ALLOW: Edit = (
    'hostname = "pki.example.com"',
    'hostname = "pki.example.com"\nallow_insecure = ["software-keys", "loose-permissions"]',
)

TABLE = [
    Broken(
        name="a key with a slip of the pen",
        edits=(('hostname = "pki', 'hostnam = "pki'),),
        report=(
            "FILE:1: server.hostname: is missing. It has no default; set it.",
            'FILE:3: server.hostnam: is not a known key. Did you mean "hostname".',
        ),
    ),
    Broken(
        name="an unknown section",
        edits=(("[tenants]", "[tenant]"),),
        report=(
            "FILE: tenants: is missing. It has no default; set it.",
            'FILE:5: tenant: is not a known key. Did you mean "tenants".',
        ),
    ),
    Broken(
        name="a key far from all known ones",
        edits=(('ids = ["demo"]', 'ids = ["demo"]\nxyzzy = 1'),),
        report=("FILE:7: tenants.xyzzy: is not a known key. Known here: ids.",),
    ),
    Broken(
        name="a word that is none of the choices",
        edits=(('mode = "demo"', 'mode = "production"'),),
        report=("FILE:2: server.mode: has a value that is not allowed. Use 'demo' or 'prod'.",),
    ),
    Broken(
        name="a host name in upper case",
        proves=("R-PLAT-014",),
        edits=(('hostname = "pki', 'hostname = "PKI'),),
        report=(
            (
                "FILE:3: server.hostname: is not accepted. "
                'Wanted: a host name of RFC 1123 in lower case, for example "pki.example.com".'
            ),
        ),
    ),
    Broken(
        name="a base URL with a slash at its end",
        edits=(("[tenants]", 'public_https = "https://pki.example.com/"\n[tenants]'),),
        report=(
            (
                "FILE:5: server.public_https: is not accepted. "
                'Wanted: a URL without a slash at its end, for example "https://pki.example.com".'
            ),
        ),
    ),
    Broken(
        name="a base URL of the wrong scheme",
        edits=(("[tenants]", 'public_http = "https://pki.example.com"\n[tenants]'),),
        report=("FILE:1: server: is not accepted. Wanted: public_http begins with http://.",),
    ),
    Broken(
        name="no tenant",
        edits=(('ids = ["demo"]', "ids = []"),),
        report=("FILE:6: tenants.ids: has too few items. Give at least 1.",),
    ),
    Broken(
        name="tenants with characters that do not belong into a URL",
        proves=("R-CEG-002",),
        edits=(('ids = ["demo"]', 'ids = ["a", "tenant.1", "tenant 1", "ténant", ""]'),),
        report=tuple(
            f"FILE:6: tenants.ids[{index}]: is not accepted. Wanted: one or more of the characters A-Z a-z 0-9 - _ ~."
            for index in (1, 2, 3, 4)
        ),
    ),
    Broken(
        name="a number where a list belongs",
        edits=(('ids = ["demo"]', "ids = 3"),),
        report=('FILE:6: tenants.ids: has a value of the wrong type. Write a list, for example ["one", "two"].',),
    ),
    Broken(
        name="text where a table belongs",
        edits=(("[protocols.ocsp]", '[log]\nlevels = "DEBUG"\n[protocols.ocsp]'),),
        report=("FILE:26: log.levels: has a value of the wrong type. Write a table.",),
    ),
    Broken(
        name="a secret in the conf file",
        proves=("R-CEG-043",),
        edits=(('master_key = { store = "software-master-key" }', 'master_key = "hunter2"'),),
        report=(
            (
                "FILE:9: keys.software.master_key: is a secret and must not stand in a conf file. "
                'Refer to it by { file = "..." }, { env = "..." } or { store = "..." }.'
            ),
        ),
    ),
    Broken(
        name="two places for one secret",
        edits=(('{ store = "software-master-key" }', '{ store = "software-master-key", env = "KEY" }'),),
        report=(
            (
                "FILE:9: keys.software.master_key: is not accepted. "
                'Wanted: exactly one of { file = "..." }, { env = "..." }, { store = "..." }.'
            ),
        ),
    ),
    Broken(
        name="a secret that the store does not have",
        edits=(('store = "software-master-key"', 'store = "other-key"'),),
        report=(
            (
                'FILE:9: keys.software.master_key: no secret "other-key" in the secret store. '
                "Set it with `cspctl secret set other-key`."
            ),
        ),
    ),
    Broken(
        name="a secret in a variable that is not set",
        edits=(('store = "software-master-key"', 'env = "MASTER_KEY"'),),
        report=(
            (
                "FILE:9: keys.software.master_key: the environment variable MASTER_KEY is not set. "
                "Set it in the environment of the daemon."
            ),
        ),
    ),
    Broken(
        name="a secret in a file that is not there",
        edits=(('store = "software-master-key"', 'file = "master.key"'),),
        report=(
            (
                "FILE:9: keys.software.master_key: DIR/master.key does not exist. "
                "Make the file with mode 0600, owned by the user that runs the daemon."
            ),
        ),
    ),
    Broken(
        name="a protocol that does not exist",
        edits=(("[protocols.ocsp]", "[protocols.ocps]"), ('["ocsp", "repository"]', '["ocps", "repository"]')),
        report=('FILE:25: protocols.ocps: there is no protocol "ocps". Did you mean "ocsp".',),
    ),
    Broken(
        name="a listener with a protocol that is not switched on",
        edits=(("[protocols.ocsp]\n", ""),),
        report=('FILE:13: listeners.http.protocols[0]: "ocsp" is not switched on. Add [protocols.ocsp].',),
    ),
    Broken(
        name="a protocol on no listener",
        edits=(('["ocsp", "repository"]', '["repository"]'),),
        report=('FILE:25: protocols.ocsp: is served by no listener. Add "ocsp" to the protocols of a listener.',),
    ),
    Broken(
        name="a protocol that needs TLS on a plain listener",
        proves=("R-CEG-015",),
        edits=(('["ocsp", "repository"]', '["ocsp", "acme", "repository"]'),),
        report=(
            (
                'FILE:13: listeners.http.protocols[1]: "acme" must not be served without TLS. '
                "Move it to a listener with TLS, or add [listeners.http.tls]."
            ),
        ),
    ),
    Broken(
        name="one endpoint, written in two ways, for two listeners",
        edits=(("tcp:8443", "tcp:8080:interface=0.0.0.0"),),
        report=('FILE:16: listeners.https.endpoint: is the endpoint of listener "http" too. Give each its own.',),
    ),
    Broken(
        name="an endpoint that is none",
        edits=(("tcp:8443", "https:8443"),),
        report=(
            (
                "FILE:16: listeners.https.endpoint: is not accepted. "
                'Wanted: "tcp:8443", "tcp:8443:interface=127.0.0.1" or "tcp:8443:interface=[::1]".'
            ),
        ),
    ),
    Broken(
        name="certificate files that are not there",
        proves=("R-CEG-018",),
        edits=(('"tls.pem"', '"no.pem"'), ('"tls.key"', '"no.key"')),
        report=(
            "FILE:20: listeners.https.tls.certificate: DIR/no.pem: cannot be read: No such file or directory.",
            "FILE:21: listeners.https.tls.key: DIR/no.key: cannot be read: No such file or directory.",
        ),
    ),
    Broken(
        name="a key that is not the certificate's",
        proves=("R-PLAT-021",),
        edits=(('"tls.key"', '"other.key"'),),
        prepare=lambda folder: write_tls(folder, "other.example.com", name="other"),
        report=(
            (
                "FILE:20: listeners.https.tls.certificate: DIR/tls.pem: "
                "the first certificate is not for the key in DIR/other.key."
            ),
        ),
    ),
    Broken(
        name="a certificate that has expired",
        proves=("R-PLAT-021",),
        prepare=lambda folder: write_tls(folder, "pki.example.com", validity=timedelta(seconds=-1)),
        report=(
            (
                "FILE:20: listeners.https.tls.certificate: DIR/tls.pem: "
                "certificate 1 (CN=pki.example.com) expired on 2026-11-24 11:59 UTC."
            ),
        ),
    ),
    Broken(
        name="a certificate without its key",
        edits=(('key = "tls.key"\n', ""),),
        report=(
            (
                "FILE:19: listeners.https.tls: is not accepted. "
                "Wanted: certificate and key: both, or neither for a self-signed certificate."
            ),
        ),
    ),
    Broken(
        name="limits out of their range, and a span that is none",
        edits=(
            (
                "[listeners.https]",
                '[listeners.http.limits]\nlisten_limit = -1\nidle_timeout = "3 weeks"\n[listeners.https]',
            ),
        ),
        report=(
            "FILE:16: listeners.http.limits.listen_limit: is too small. Use 0 or more.",
            (
                "FILE:17: listeners.http.limits.idle_timeout: is not accepted. "
                'Wanted: a span of time, for example "60s", "15 min" or "P7DT12H".'
            ),
        ),
    ),
    Broken(
        name="a protocol's own setting",
        edits=(("[protocols.acme]", "[protocols.acme]\nmax_identifiers = 0\nhttp01 = { prot = 80 }"),),
        report=(
            "FILE:24: protocols.acme.max_identifiers: is too small. Use 1 or more.",
            'FILE:25: protocols.acme.http01.prot: is not a known key. Did you mean "port".',
        ),
    ),
    Broken(
        name="a switch that is neither on nor off",
        edits=(("[protocols.acme]", '[protocols.acme]\nenabled = "yes"'),),
        report=("FILE:24: protocols.acme.enabled: has a value of the wrong type. Write true or false.",),
    ),
    Broken(
        name="a key set in two files",
        files={"conf.d/a.toml": '[server]\nmode = "prod"\n'},
        report=(
            (
                "DIR/conf.d/a.toml:2: server.mode: is set a second time; FILE:2 has set it already. "
                "Set server.mode in one place."
            ),
        ),
    ),
    Broken(
        name="a file of conf.d that is not TOML, and a problem elsewhere",
        files={"conf.d/a.toml": "[store\n"},
        edits=(('mode = "demo"', 'mode = "x"'),),
        report=(
            "DIR/conf.d/a.toml:1: is not TOML: Expected ']' at the end of a table declaration.",
            "FILE:2: server.mode: has a value that is not allowed. Use 'demo' or 'prod'.",
        ),
    ),
    Broken(
        name="a state folder that is not there",
        edits=(("[tenants]", 'state = "elsewhere"\n[tenants]'), ('store = "software-master-key"', 'file = "tls.key"')),
        report=("FILE:5: server.state: DIR/elsewhere is not a folder. Make it with `mkdir -m 0700 DIR/elsewhere`.",),
    ),
    Broken(
        name="a user that is not there",
        edits=(("[tenants]", 'uid = "no-such-user"\n[tenants]'),),
        report=("FILE:5: server.uid: there is no such user on this machine. Make the user.",),
    ),
    Broken(
        name="profile folders and a log file that cannot be",
        edits=(
            (
                "[protocols.ocsp]",
                '[profiles]\ndirectories = ["nowhere"]\n[log]\nfile = "no/cspd.log"\n[protocols.ocsp]',
            ),
        ),
        report=(
            "FILE:26: profiles.directories[0]: DIR/nowhere is not a folder. Name a folder of profile files.",
            "FILE:28: log.file: DIR/no is not a folder. Make it, or name another file.",
        ),
    ),
    Broken(
        name="a broken profile file",
        edits=(("[protocols.ocsp]", '[profiles]\ndirectories = ["mine"]\n[protocols.ocsp]'),),
        files={"mine/a.toml": "[group]\n[profiles\n"},
        report=("DIR/mine/a.toml: Expected ']' at the end of a table declaration (at line 2, column 10).",),
    ),
    Broken(
        name="a socket path longer than Unix has room for",
        edits=(("[protocols.ocsp]", f'[admin]\nsocket = "/{"x" * 120}"\n[protocols.ocsp]'),),
        report=(
            (
                f"FILE:26: admin.socket: /{'x' * 120} is too long for a Unix socket. "
                "Name a path of at most 107 bytes, for example /run/cspd/admin.sock."
            ),
        ),
    ),
    Broken(
        name="a database password in the URL",
        edits=(("[protocols.ocsp]", '[store]\nurl = "postgresql://cspd:hunter2@db/cspd"\n[protocols.ocsp]'),),
        report=(
            (
                "FILE:26: store.url: is not accepted. "
                'Wanted: the password goes into store.password = { file = "..." }, not into the URL.'
            ),
        ),
    ),
    Broken(
        name="software keys in production",
        proves=("R-PLAT-012",),
        edits=(PRODUCTION,),
        report=(
            (
                "FILE:7: keys.software: keeps private keys outside a token. "
                'Keep them in a [keys.pkcs11.NAME], or allow it: server.allow_insecure = ["software-keys"].'
            ),
        ),
    ),
    Broken(
        name="a self-signed certificate in production",
        proves=("R-PLAT-012",),
        edits=(PRODUCTION, ALLOW, ('certificate = "tls.pem"\nkey = "tls.key"\n', "")),
        report=(
            (
                "FILE:19: listeners.https.tls: has no certificate, so that a self-signed one will be used. "
                'Set certificate and key, or allow it: server.allow_insecure = ["self-signed-tls"].'
            ),
        ),
    ),
    Broken(
        name="a database server that is not verified, in production",
        proves=("R-PLAT-012",),
        edits=(
            PRODUCTION,
            ALLOW,
            (
                "[protocols.ocsp]",
                '[store]\nurl = "postgresql://cspd@db/cspd"\ntls = { mode = "require" }\n[protocols.ocsp]',
            ),
        ),
        report=(
            (
                "FILE:27: store.tls.mode: does not prove which database server answers. "
                'Use "verify-full", or allow it: server.allow_insecure = ["unverified-database-tls"].'
            ),
        ),
    ),
    Broken(
        name="a clock that nobody verifies, in production",
        proves=("R-PLAT-012",),
        edits=(
            PRODUCTION,
            ALLOW,
            ('["ocsp", "repository"]', '["ocsp", "repository", "tsp"]'),
            (
                "[protocols.ocsp]",
                (
                    '[protocols.tsp.clock]\nsource = "system"\npoll_interval = "10s"\nmax_error = "1s"\n'
                    '[[protocols.tsp.issuers]]\nid = "demo"\nprofile = { policy = "1.3.6.1.4.1.32473.1" }\n'
                    'certification = { ca = "demo~issuing", subject = "CN=unit" }\n[protocols.ocsp]'
                ),
            ),
        ),
        report=(
            (
                "FILE:26: protocols.tsp.clock.source: takes the clock of this machine for true time, and nobody "
                'checks it. Use "chrony", or allow it: server.allow_insecure = ["unverified-clock"].'
            ),
        ),
    ),
    Broken(
        name="files that others may read, in production",
        proves=("R-PLAT-126",),
        edits=(PRODUCTION, (ALLOW[0], ALLOW[1].replace(', "loose-permissions"', ""))),
        prepare=lambda folder: [
            (folder / name).chmod(mode) for name, mode in (("state", 0o750), ("cspd.toml", 0o644), ("tls.key", 0o640))
        ],
        report=(
            'FILE: has mode 0644. Run `chmod 0640 FILE`, or allow it: server.allow_insecure = ["loose-permissions"].',
            (
                "FILE:1: server.state: DIR/state has mode 0750. "
                'Run `chmod 0700 DIR/state`, or allow it: server.allow_insecure = ["loose-permissions"].'
            ),
            (
                "FILE:21: listeners.https.tls.key: DIR/tls.key has mode 0640. "
                'Run `chmod 0600 DIR/tls.key`, or allow it: server.allow_insecure = ["loose-permissions"].'
            ),
        ),
    ),
]


def problems(tmp_path: Path, broken: Broken) -> list[Problem]:
    text = SOUND
    for old, new in broken.edits:
        assert old in text, f"the table's edit {old!r} changes nothing"
        text = text.replace(old, new)
    file = install(tmp_path, text)
    for name, content in broken.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o640)
    if broken.prepare is not None:
        broken.prepare(tmp_path)
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(file, environment={}, clock=FrozenClock())
    return list(refused.value.problems)


ROWS = [
    pytest.param(row, id=row.name, marks=[pytest.mark.requirement(requirement) for requirement in row.proves])
    for row in TABLE
]


@pytest.mark.parametrize("broken", ROWS)
def test_report_is_exact(tmp_path: Path, broken: Broken) -> None:
    found = [str(problem) for problem in problems(tmp_path, broken)]
    expected = [
        line.replace("FILE", str(tmp_path / "cspd.toml")).replace("DIR", str(tmp_path)) for line in broken.report
    ]
    assert found == expected


def test_table_is_large_enough_and_no_secret_is_in_a_report() -> None:
    assert len(TABLE) >= 25
    assert not any("hunter2" in line for broken in TABLE for line in broken.report)


def test_sound_configuration_has_no_problem(tmp_path: Path) -> None:
    configuration = load_configuration(install(tmp_path), environment={}, clock=FrozenClock())
    assert sorted(configuration.protocols) == ["acme", "ocsp", "repository"]
    assert configuration.warnings == ()
    assert configuration.admin_socket == tmp_path / "state" / "admin.sock"


def test_all_problems_come_in_one_report(tmp_path: Path) -> None:
    """Twelve rows at once: each finds its problem as if it were alone."""
    names = (
        "a word that is none",
        "no tenant",
        "a listener with a protocol that is not",
        "one endpoint",
        "a protocol's own",
    )
    chosen = [broken for broken in TABLE if broken.name.startswith(names)]
    assert len(chosen) == len(names)
    everything = Broken(name="all", edits=tuple(edit for broken in chosen for edit in broken.edits), report=())
    keys = {problem.key for problem in problems(tmp_path, everything)}
    assert {("server", "mode"), ("tenants", "ids"), ("listeners", "http", "protocols", 0)} <= keys
    assert {("listeners", "https", "endpoint"), ("protocols", "acme", "max_identifiers")} <= keys


def test_protocol_that_is_switched_off_is_not_served_and_still_checked(tmp_path: Path) -> None:
    text = SOUND.replace("[protocols.ocsp]", "[protocols.ocsp]\nenabled = false").replace('"ocsp", ', "")
    assert "ocsp" not in load_configuration(install(tmp_path, text), environment={}, clock=FrozenClock()).protocols
    broken = Broken(name="", edits=(("[protocols.ocsp]", "[protocols.ocsp]\nenabled = false\nx = 1"),), report=())
    assert ("protocols", "ocsp", "x") in {problem.key for problem in problems(tmp_path, broken)}
