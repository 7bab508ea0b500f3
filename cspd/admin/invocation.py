"""What every ``cspctl`` command shares: the configuration it works on, and how it answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from cspd.admin.client import DaemonDown, OperationFailed, call
from cspd.admin.local import run_locally
from cspd.admin.output import Output
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
        configuration = self.configuration()
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            with self._progress(doing):
                try:
                    return call(configuration.admin_socket, operation, given)
                except DaemonDown as down:
                    if operation.startswith("daemon-"):
                        raise
                    try:
                        return run_locally(configuration, operation, given)
                    except StateInUse as in_use:
                        raise OperationFailed(f"{in_use}; {down.reason}", code=down.code) from in_use
        except OperationFailed as failed:
            self.fail(failed.reason, code=failed.code)
        except Refused as refused:
            self.fail(refused.reason, code=refused.refusal_code)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone; ``yes`` has answered, and a script must have."""
        if not yes and not click.confirm(question, err=True):
            self.fail("nothing was done", code="aborted")

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
            click.echo(json.dumps({"error": code, "reason": reason}, ensure_ascii=False))
        else:
            click.echo(f"cspctl: {reason}", err=True)
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
            found = {"problems": [p.as_json() for p in problems], "warnings": [w.as_json() for w in warnings]}
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
        tree = read_files(self.config)
        if tree.problems:
            self.refuse(tree.problems, ())
        server = tree.values.get("server")
        state = server.get("state", "state") if isinstance(server, dict) else "state"
        return SecretStore(self.config.parent / str(state) / SECRETS_FOLDER)
