"""A real PostgreSQL for tests: on a free loopback port, in a temporary folder, without durability tricks.

A test module imports the fixtures it uses: ``from tests.support.postgresql import postgresql, postgresql_server``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.processes import free_port, wait_until


class PostgreSQLServer:
    """One server, started and killed as the test likes; its data stays until :meth:`remove`.

    With ``tls``, a certificate and its key as PEM, it speaks TLS to those who ask.
    """

    def __init__(self, *, tls: tuple[bytes, bytes] | None = None) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        if not versions:
            pytest.fail("PostgreSQL is not installed; .ci/install-counterparts installs it")
        self._programs = versions[-1].parent
        # Its server refuses to run as root.
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="cspd-postgresql-"))
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._child: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        initdb = ("initdb", "-D", str(self._folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N")
        self._run(*initdb, "--locale=C")
        if tls is not None:
            for name, content in zip(("server.crt", "server.key"), tls, strict=True):
                self._add_file(name, content)
            with (self._folder / "data" / "postgresql.conf").open("a") as configuration:
                configuration.write("ssl = on\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ("-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder))
        with (self._folder / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [self._programs / "postgres", *options, "-c", "listen_addresses=127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                **self._as_user(),
            )
        wait_until(self._answers, what="PostgreSQL")

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, nothing is lost."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Immediate shutdown: as after a power cut, it recovers from its log at the next start."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as its superuser."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _add_file(self, name: str, content: bytes) -> None:
        file = self._folder / "data" / name
        file.touch(mode=0o600)
        file.write_bytes(content)
        if self._user is not None:
            os.chown(file, self._user.pw_uid, self._user.pw_gid)

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)
            self._child.wait(30)
            self._child = None

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / name, *arguments], check=True, capture_output=True, cwd=self._folder, **self._as_user()
        )

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for all tests that do not kill it."""
    server = PostgreSQLServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgresql(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    """The URL of an empty database of the shared server."""
    name = f"test_{os.urandom(8).hex()}"
    postgresql_server.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.url(name)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
