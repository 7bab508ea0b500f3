"""Text becomes a checked, frozen :class:`~cspd.config.configuration.Configuration` once, or a list of all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cspd.authentication.assembly import CONNECTOR_KIND
from cspd.authentication.config import STATIC
from cspd.authority.profiles import Profile, ProfileProblems, load_profiles
from cspd.clock import Clock
from cspd.config import checks
from cspd.config.configuration import Configuration, EnabledProtocol
from cspd.config.connectors import find_settings_model
from cspd.config.files import Tree, read_files
from cspd.config.inspection import UsesProfiles
from cspd.config.model import RootConfig, ServerConfig
from cspd.config.problems import ConfigurationRefused, KeyPath, Problem
from cspd.config.protocols import ProtocolUnavailable, find_declarations, load_object, why_missing
from cspd.config.secrets import Secrets, SecretStore
from cspd.config.sentences import nearest_name, problems_of
from cspd.config.shipped import shipped_profiles
from cspd.config.values import Section
from cspd.digital_ids.assembly import unknown_profiles
from cspd.http.config import ListenerConfig
from cspd.plugin import ProtocolDeclaration, ProtocolFactory
from cspd.refusals import Refused

SECRETS_FOLDER = "secrets"
"""Below the state folder."""


def load_configuration(
    path: Path, *, environment: Mapping[str, str], clock: Clock, plugins: ModuleType | None = None
) -> Configuration:
    """Read, merge and check ``path`` and the ``conf.d`` beside it.

    Reads files and changes nothing (R-CEG-026). Raises :class:`ConfigurationRefused` with all problems of all files.
    """
    return _Loading(path.absolute(), environment, clock, plugins).result()


@dataclass(slots=True)
class _Loading:
    path: Path
    environment: Mapping[str, str]
    clock: Clock
    plugins: ModuleType | None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def result(self) -> Configuration:
        tree = read_files(self.path)
        self.problems += tree.problems
        if not tree.files:
            raise ConfigurationRefused(self.problems)
        root, sections = self._sections(tree)
        declarations = find_declarations(self.plugins)
        protocols = dict(self._protocols(tree, declarations))
        connectors = dict(self._connectors(tree, sections))
        profiles = self._profiles(tree, sections)
        digital_ids = sections.get("digital_ids")
        if digital_ids is not None and profiles:
            self.problems += [
                tree.problem(each.key, each.what, each.remedy) for each in unknown_profiles(digital_ids, profiles)
            ]
        if profiles:
            self.problems += self._profiles_of_protocols(tree, protocols, profiles)
        server = sections.get("server")
        state = self.path.parent / (server.state if isinstance(server, ServerConfig) else "state")
        secrets = Secrets(
            folder=self.path.parent, store=SecretStore(state / SECRETS_FOLDER), environment=self.environment
        )
        draft = checks.Draft(
            tree=tree,
            folder=self.path.parent,
            sections=sections,
            listeners=sections["listeners"],
            declarations=declarations,
            protocols=protocols,
            connectors=connectors,
            secrets=secrets,
            now=self.clock.now(),
        )
        findings = checks.check(draft)
        self.problems += findings.problems
        self.warnings += findings.warnings
        if self.problems or root is None:
            raise ConfigurationRefused(self._sorted(self.problems), self._sorted(self.warnings))
        return Configuration(
            path=self.path,
            root=root,
            protocols=protocols,
            profiles=profiles,
            secrets=secrets,
            warnings=tuple(self._sorted(self.warnings)),
        )

    def _sections(self, tree: Tree) -> tuple[RootConfig | None, dict[str, Any]]:
        """The whole, if it is sound; and those sections (and listeners) that are, for the checks between sections."""
        try:
            root = RootConfig.model_validate(tree.values)
        except ValidationError as error:
            self.problems += self._said(error, RootConfig, (), tree)
        else:
            return root, {name: getattr(root, name) for name in RootConfig.model_fields}
        sections: dict[str, Any] = {"listeners": {}}
        for name, info in RootConfig.model_fields.items():
            if name not in ("listeners", "protocols") and (name in tree.values or not info.is_required()):
                value = _validated(info.annotation, tree.values.get(name, {}))
                if value is not None:
                    sections[name] = value
        for name, table in _tables(tree.values.get("listeners")).items():
            if (listener := _validated(ListenerConfig, table)) is not None:
                sections["listeners"][name] = listener
        return None, sections

    def _protocols(
        self, tree: Tree, declarations: Mapping[str, ProtocolDeclaration]
    ) -> Iterator[tuple[str, EnabledProtocol]]:
        for name, table in _tables(tree.values.get("protocols")).items():
            key: KeyPath = ("protocols", name)
            declaration = declarations.get(name)
            if declaration is None:
                remedy = nearest_name(name, sorted(declarations))
                self.problems.append(tree.problem(key, why_missing(name, self.plugins), remedy))
                continue
            written = dict(table)
            is_enabled = written.pop("enabled", True)
            if not isinstance(is_enabled, bool):
                what = "has a value of the wrong type"
                self.problems.append(tree.problem((*key, "enabled"), what, "Write true or false"))
                continue
            try:
                model = load_object(declaration, declaration.configuration)
                factory: ProtocolFactory = load_object(declaration, declaration.factory)
                settings: Section = model.model_validate(written)
            except ProtocolUnavailable as error:
                self.problems.append(tree.problem(key, str(error)))
            except ValidationError as error:
                self.problems += self._said(error, model, key, tree)
            else:
                if is_enabled:
                    yield name, EnabledProtocol(declaration=declaration, factory=factory, settings=settings)

    def _connectors(self, tree: Tree, sections: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Section]]:
        """What connectors of ``[authentication.NAME]`` need to know, by its key."""
        for name, section in sections.get("authentication", {}).items():
            if section.kind == STATIC:
                continue
            key: KeyPath = ("authentication", name)
            try:
                model = find_settings_model(CONNECTOR_KIND, section.kind, self.plugins)
                if model is not None:
                    yield (*key, "settings"), model.model_validate(dict(section.settings))
            except Refused as error:
                self.problems.append(tree.problem((*key, "kind"), str(error)))
            except ValidationError as error:
                self.problems += self._said(error, model, (*key, "settings"), tree)

    def _profiles_of_protocols(
        self, tree: Tree, protocols: Mapping[str, EnabledProtocol], profiles: Mapping[str, Profile]
    ) -> Iterator[Problem]:
        for name, protocol in protocols.items():
            if isinstance(protocol.settings, UsesProfiles):
                for each in protocol.settings.inspect_profiles(profiles):
                    yield tree.problem(("protocols", name, *each.key), each.what, each.remedy)

    def _profiles(self, tree: Tree, sections: Mapping[str, Any]) -> Mapping[str, Profile]:
        profiles = sections.get("profiles")
        if profiles is None:
            return {}
        folders = [shipped_profiles()] if profiles.shipped else []
        for index, name in enumerate(profiles.directories):
            folder = self.path.parent / name
            if folder.is_dir():
                folders.append(folder)
            else:
                key = ("profiles", "directories", index)
                self.problems.append(tree.problem(key, f"{folder} is not a folder", "Name a folder of profile files"))
        try:
            return load_profiles(folders)
        except ProfileProblems as error:
            self.problems += _profile_problems(error)
            return {}

    def _said(self, error: ValidationError, model: Any, at: KeyPath, tree: Tree) -> list[Problem]:
        problems = problems_of(error, model, at=at, locate=tree.problem)
        if tree.problems:  # what seems to be missing may stand in a file that could not be read
            return [problem for problem in problems if problem.what != "is missing"]
        return list(problems)

    def _sorted(self, problems: list[Problem]) -> list[Problem]:
        return sorted(problems, key=lambda problem: (str(problem.file or ""), problem.line or 0))


def _validated(annotation: Any, value: Any) -> Any:
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return None


def _tables(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """The tables among the values of a table; what is none has been reported by the model."""
    if not isinstance(value, dict):
        return {}
    return {name: table for name, table in value.items() if isinstance(table, dict)}


def _profile_problems(error: ProfileProblems) -> list[Problem]:
    return [
        Problem(what=found.problem, key=tuple(found.key.split(".")) if found.key else (), file=found.file)
        for found in error.problems
    ]
