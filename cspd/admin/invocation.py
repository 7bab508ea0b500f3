"""What every ``cspctl`` command shares: the configuration it works on, and how it answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from cspd.admin.client import DaemonDown, OperationFailed, call
from cspd.admin.local import run_locally
from cspd.admin.output import Output, printable
from cspd.clock import SystemClock
from cspd.config.configuration import Configuration
from cspd.config.files import read_files
from cspd.config.loader import SECRETS_FOLDER, load_configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.config.secrets import SecretStore
from cspd.daemon.lock import StateInUse
from cspd.refusals import Refused


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before the command; click hands it to each (``@click.pass_obj``)."""

    config: Path
    """The ``cspd.toml``."""
    as_json: bool
    """Answer with one JSON value on standard output."""

    @property
    def output(self) -> Output:
        """Tables for people, JSON for scripts."""
        return Output(as_json=self.as_json)

    def run(self, operation: str, *, doing: str = "", **arguments: Any) -> Any:
        """Run an operation in the daemon, or in this process while none runs; ends the command when it is refused.

        ``doing`` is shown meanwhile where somebody watches. Arguments that are None are left out.
        """
        with self._progress(doing):
            return self._answer(operation, arguments, needs_daemon=operation.startswith("daemon-"))

    def run_in_daemon(self, operation: str, **arguments: Any) -> Any:
        """The same for what only the daemon can tell, because it waits for somebody, or runs."""
        return self._answer(operation, arguments, needs_daemon=True)

    def _answer(self, operation: str, arguments: Mapping[str, Any], *, needs_daemon: bool) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return self._run(operation, given, needs_daemon=needs_daemon)
        except OperationFailed as failed:
            self.fail(failed.reason, code=failed.code)
        except Refused as refused:
            self.fail(refused.reason, code=refused.refusal_code)

    def _run(self, operation: str, given: Mapping[str, Any], *, needs_daemon: bool) -> Any:
        # The daemon is asked first, whatever has become of the conf files since it started: who has to revoke a
        # certificate now must not be held up by a key of another section.
        try:
            return call(self._state_and_socket()[1], operation, given)
        except DaemonDown as down:
            if needs_daemon:
                raise
            try:
                return run_locally(self.configuration(), operation, given)
            except StateInUse as in_use:
                raise OperationFailed(f"{in_use}; {down.reason}", code=down.code) from in_use
            except (OSError, ValueError) as error:  # the store, or a secret
                raise OperationFailed(str(error)) from error

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone; ``yes`` has answered. No answer is no."""
        try:
            if yes or click.confirm(question, err=True):
                return
        except click.Abort:
            click.echo(err=True)  # the question stands there without a line end
        self.fail("nothing was done; --yes answers for a script", code="aborted")

    def _progress(self, doing: str) -> AbstractContextManager[object]:
        if not doing or self.as_json or not sys.stderr.isatty():
            return nullcontext()
        return Console(stderr=True).status(f"{doing} ...")

    def show(self, value: Any, text: str) -> None:
        """Answer a script with ``value`` or a person with ``text``."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2) if self.as_json else text)

    def fail(self, reason: str, *, code: str = "failed") -> NoReturn:
        """End with exit status 1 and say why; ``code`` is for scripts."""
        if self.as_json:
            click.echo(json.dumps({"error": code, "reason": reason}, ensure_ascii=False, indent=2))
        else:
            click.echo("\n".join(map(printable, f"cspctl: {reason}".split("\n"))), err=True)
        sys.exit(1)

    def configuration(self) -> Configuration:
        """The checked configuration; ends the command with all problems if there is none."""
        try:
            return load_configuration(self.config, environment=os.environ, clock=SystemClock())
        except ConfigurationRefused as refused:
            self.refuse(refused.problems, refused.warnings)

    def refuse(self, problems: Sequence[Problem], warnings: Sequence[Problem]) -> NoReturn:
        """End with exit status 1 and every problem."""
        if self.as_json:
            found = {
                "error": "configuration-refused",
                "reason": f"{len(problems)} problem{'s' if len(problems) != 1 else ''} found",
                "problems": [problem.as_json() for problem in problems],
                "warnings": [warning.as_json() for warning in warnings],
            }
            click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        else:
            for warning in warnings:
                click.echo(f"warning: {warning}", err=True)
            for problem in problems:
                click.echo(str(problem), err=True)
            click.echo(f"{len(problems)} problem{'s' if len(problems) != 1 else ''} found.", err=True)
        sys.exit(1)

    def secret_store(self) -> SecretStore:
        """The secret store, which has to be usable while the rest of the configuration is not sound yet."""
        return SecretStore(self._state_and_socket()[0] / SECRETS_FOLDER)

    def state_folder(self) -> Path | None:
        """The state folder, whether or not the configuration is sound; None if nobody can tell."""
        tree = read_files(self.config.absolute())
        state = places_of(tree.values, self.config.absolute().parent)[0]
        return state if tree.files and state.is_dir() else None

    def loaded_configuration(self) -> Configuration | None:
        """The checked configuration; None if there is none."""
        try:
            return load_configuration(self.config, environment=os.environ, clock=SystemClock())
        except ConfigurationRefused:
            return None

    def told_by_daemon(self, operation: str) -> Any:
        """What the daemon answers to a question without arguments; None while none runs, or if it refuses."""
        tree = read_files(self.config.absolute())
        try:
            return call(places_of(tree.values, self.config.absolute().parent)[1], operation, {})
        except OperationFailed:
            return None

    def record(self, command: str, arguments: Mapping[str, Any], exit_status: int) -> str:
        """Put a command that has run into the audit trail; gives why that failed, nothing if it is there."""
        given = {"command": command, "arguments": json.dumps(arguments), "exit_status": exit_status}
        tree = read_files(self.config.absolute())
        try:
            call(places_of(tree.values, self.config.absolute().parent)[1], "command-record", given)
        except DaemonDown:
            configuration = self.loaded_configuration()
            if configuration is None:
                return "no daemon runs, and there is no sound configuration"
            try:
                run_locally(configuration, "command-record", given)
            except (StateInUse, Refused, OperationFailed, OSError, ValueError) as error:
                return str(error)
        except OperationFailed as failed:
            return failed.reason
        return ""

    def _state_and_socket(self) -> tuple[Path, Path]:
        """The state folder and the daemon's socket; ends the command only if the conf files cannot be read."""
        tree = read_files(self.config.absolute())
        if tree.problems:
            self.refuse(tree.problems, ())
        return places_of(tree.values, self.config.absolute().parent)


def places_of(values: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """What :attr:`Configuration.state` and ``admin_socket`` will be, of a tree that is not checked yet."""

    def text(section: str, key: str, default: str) -> str:
        table = values.get(section)
        value = table.get(key) if isinstance(table, dict) else None
        return value if isinstance(value, str) else default

    state = folder / text("server", "state", "state")
    return state, folder / text("admin", "socket", str(state / "admin.sock"))
