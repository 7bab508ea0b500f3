"""Reading certificate profiles from TOML files (``conf/profiles/*.toml``).

A file holds one group::

    group = "est"
    title = "EST"
    category = "subscriber"

    [defaults]                          # keys that the profiles below share
    issuer = "issuing"
    ...

    [profiles.est-digital-signature]    # replaces keys of [defaults], each as a whole
    description = "..."
    key_usage = ["digitalSignature"]

Unknown keys are errors, and all errors of all files are reported at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from cspd.authority.durations import CalendarDuration
from cspd.authority.profile_values import (
    BasicConstraints,
    EmptySubject,
    ExtendedKeyUsageMode,
    ExtendedKeyUsageRules,
    ExtensionPresence,
    IssuanceMode,
    IssuerKind,
    KeyUsageBit,
    LintException,
    PolicyRules,
    Presence,
    Profile,
    ProfileCategory,
    SubjectAltNameRules,
    SubjectRules,
    Validity,
)
from cspd.config.values import Section
from cspd.keys.values import KeyType
from cspd.x509.names import attribute_type
from cspd.x509.object_identifiers import CERTIFICATE_POLICIES, EXTENDED_KEY_USAGES, REQUEST_EXTENSIONS, resolve

__all__ = ["Profile", "ProfileProblem", "ProfileProblems", "load_profiles"]

_MAX_ID = 80  # the width of the store's column
_ID = re.compile(
    r"[a-z0-9]+(?:[-_][a-z0-9]+)*"
)  # opaque where it stands in URLs: "-" is never read as "_" (R-CEGI-004)


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One thing that is wrong in the profile files."""

    file: Path
    key: str
    """Dotted path of the key, empty for the file as a whole."""
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else str(self.file)
        return f"{place}: {self.problem}"


class ProfileProblems(ValueError):
    """The profile files cannot be used; ``problems`` has every reason."""

    def __init__(self, problems: Sequence[ProfileProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def load_profiles(directories: Sequence[Path]) -> Mapping[str, Profile]:
    """Read every ``*.toml`` of the directories, in the order of their names.

    Returns the profiles by their ids. Raises :class:`ProfileProblems` for a directory or file that cannot be read, a
    key that is unknown, missing or wrong, and an id that is given twice.
    """
    profiles: dict[str, Profile] = {}
    problems: list[ProfileProblem] = []
    for directory in directories:
        if not directory.is_dir():
            problems.append(ProfileProblem(directory, "", "is not a directory"))
            continue
        for file in sorted(directory.glob("*.toml")):
            for found in _read_file(file):
                if isinstance(found, ProfileProblem):
                    problems.append(found)
                elif found.id in profiles:
                    problems.append(ProfileProblem(file, f"profiles.{found.id}", "is defined already"))
                else:
                    profiles[found.id] = found
    if problems:
        raise ProfileProblems(problems)
    return MappingProxyType(profiles)


def _read_file(file: Path) -> Iterator[Profile | ProfileProblem]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError or UnicodeDecodeError is a ValueError
        yield ProfileProblem(file, "", str(error))
        return
    try:
        group = _GroupTable.model_validate(table)
    except ValidationError as error:
        yield from _problems(file, (), error)
        return
    reported: set[ProfileProblem] = set()
    for profile_id, own in group.profiles.items():
        if len(profile_id) > _MAX_ID or not _ID.fullmatch(profile_id):
            rule = (
                f"a profile id is at most {_MAX_ID} lower-case letters, digits and single inner hyphens or underscores"
            )
            yield ProfileProblem(file, f"profiles.{profile_id}", rule)
        try:
            yield _ProfileTable.model_validate({**group.defaults, **own}).profile(profile_id, group)
        except ValidationError as error:
            for problem in _problems(file, ("profiles", profile_id), error, group.defaults.keys() - own.keys()):
                if problem not in reported:  # the same wrong default shows in every profile
                    reported.add(problem)
                    yield problem


def _problems(
    file: Path, path: tuple[str, ...], error: ValidationError, inherited: Iterable[str] = ()
) -> Iterator[ProfileProblem]:
    for detail in error.errors(include_url=False, include_input=False):
        where = tuple(str(part) for part in detail["loc"])
        prefix = ("defaults",) if where and where[0] in inherited else path
        yield ProfileProblem(file, ".".join(prefix + where), detail["msg"])


def _lifetime(value: Any) -> CalendarDuration:
    if not isinstance(value, str):
        raise ValueError('write a lifetime such as "P1Y"')
    return CalendarDuration.parse(value)


def _always_or_never(value: Presence) -> Presence:
    if value is Presence.WHEN_OCSP_ENABLED:
        raise ValueError('write "always" or "never"')
    return value


_AlwaysOrNever = Annotated[Presence, AfterValidator(_always_or_never)]
_Lifetime = Annotated[CalendarDuration, BeforeValidator(_lifetime)]
_KeyPurposeID = Annotated[str, AfterValidator(lambda text: resolve(text, EXTENDED_KEY_USAGES))]
_ExtensionID = Annotated[str, AfterValidator(lambda text: resolve(text, REQUEST_EXTENSIONS))]
_PolicyID = Annotated[str, AfterValidator(lambda text: resolve(text, CERTIFICATE_POLICIES))]
_AttributeType = Annotated[str, AfterValidator(lambda text: attribute_type(text).dotted_string)]


class _ValidityTable(Section):
    """Either ``fixed``, or ``default`` with an optional ``maximum``."""

    fixed: _Lifetime | None = None
    default: _Lifetime | None = None
    maximum: _Lifetime | None = None
    capped_by_issuer: bool = True

    @model_validator(mode="after")
    def _fixed_or_default(self) -> _ValidityTable:
        if (self.fixed is None) == (self.default is None) or (self.fixed and self.maximum):
            raise ValueError('give either "fixed", or "default" with an optional "maximum"')
        return self

    def value(self) -> Validity:
        return Validity(
            default=self.fixed or self.default or CalendarDuration(),
            maximum=self.maximum,
            request_may_choose=self.fixed is None,
            capped_by_issuer=self.capped_by_issuer,
        )


class _SubjectTable(Section):
    required: tuple[_AttributeType, ...] = ()
    when_empty: EmptySubject = EmptySubject.KEEP


class _SubjectAltNameTable(Section):
    required: bool = False
    critical: bool = False
    fill_from_common_name: bool = False


class _ExtendedKeyUsageTable(Section):
    mode: ExtendedKeyUsageMode
    values: tuple[_KeyPurposeID, ...] = ()
    critical: bool = False

    @model_validator(mode="after")
    def _values_only_when_fixed(self) -> _ExtendedKeyUsageTable:
        if bool(self.values) != (self.mode is ExtendedKeyUsageMode.FIXED):
            raise ValueError('"values" are given with mode "fixed", and only with it')
        return self


class _BasicConstraintsTable(Section):
    ca: bool = False
    path_length: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _path_length_only_for_a_ca(self) -> _BasicConstraintsTable:
        if self.path_length is not None and not self.ca:
            raise ValueError('"path_length" needs "ca = true" (RFC 5280, 4.2.1.9)')
        return self


class _PoliciesTable(Section):
    fixed: tuple[_PolicyID, ...] = ()
    critical: bool = False


class _ExtensionsTable(Section):
    authority_info_access: Presence = Presence.WHEN_OCSP_ENABLED
    authority_key_identifier: _AlwaysOrNever = Presence.ALWAYS
    crl_distribution_points: _AlwaysOrNever = Presence.ALWAYS
    ocsp_no_check: _AlwaysOrNever = Presence.NEVER


class _ProfileTable(Section):
    """One ``[profiles.ID]``, with the defaults of its file."""

    description: str
    issuer: IssuerKind
    protocols: frozenset[str] = frozenset()
    modes: Annotated[frozenset[IssuanceMode], Field(min_length=1)]
    validity: _ValidityTable
    subject: _SubjectTable = _SubjectTable()
    subject_alt_name: _SubjectAltNameTable = _SubjectAltNameTable()
    key_usage: Annotated[frozenset[KeyUsageBit], Field(min_length=1)]
    extended_key_usage: _ExtendedKeyUsageTable
    basic_constraints: _BasicConstraintsTable = _BasicConstraintsTable()
    certificate_policies: _PoliciesTable = _PoliciesTable()
    request_extensions: frozenset[_ExtensionID] = frozenset()
    extensions: _ExtensionsTable = _ExtensionsTable()
    key_types: Annotated[frozenset[KeyType], Field(min_length=1)]
    lint_exceptions: Annotated[dict[str, str], Field(default={})]
    """The reason of each finding, by the linter's code."""

    @model_validator(mode="after")
    def _key_cert_sign_only_for_a_ca(self) -> _ProfileTable:
        if KeyUsageBit.KEY_CERT_SIGN in self.key_usage and not self.basic_constraints.ca:
            raise ValueError('"keyCertSign" needs "basic_constraints.ca = true" (RFC 5280, 4.2.1.9)')
        return self

    @model_validator(mode="after")
    def _requested_usages_are_an_allowed_extension(self) -> _ProfileTable:
        asked = self.extended_key_usage.mode is ExtendedKeyUsageMode.REQUEST
        if asked != (REQUEST_EXTENSIONS["extendedKeyUsage"] in self.request_extensions):
            raise ValueError(
                '"extendedKeyUsage" is a request extension exactly when extended_key_usage.mode is "request"'
            )
        return self

    def profile(self, profile_id: str, group: _GroupTable) -> Profile:
        return Profile(
            id=profile_id,
            group=group.group,
            category=group.category,
            description=self.description,
            issuer=self.issuer,
            protocols=self.protocols,
            modes=self.modes,
            validity=self.validity.value(),
            subject=SubjectRules(**_fields(self.subject)),
            subject_alt_name=SubjectAltNameRules(**_fields(self.subject_alt_name)),
            key_usage=self.key_usage,
            extended_key_usage=ExtendedKeyUsageRules(**_fields(self.extended_key_usage)),
            basic_constraints=BasicConstraints(**_fields(self.basic_constraints)),
            certificate_policies=PolicyRules(**_fields(self.certificate_policies)),
            request_extensions=self.request_extensions,
            extensions=ExtensionPresence(**_fields(self.extensions)),
            key_types=self.key_types,
            lint_exceptions=tuple(
                LintException(finding=finding, reason=reason) for finding, reason in self.lint_exceptions.items()
            ),
        )


class _GroupTable(Section):
    """One file."""

    group: str
    title: str
    category: ProfileCategory
    defaults: dict[str, Any] = Field(default={})
    profiles: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]


def _fields(table: Section) -> dict[str, Any]:
    return {name: getattr(table, name) for name in type(table).model_fields}
