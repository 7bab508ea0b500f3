"""DNS identifiers: one spelling of each name, and what may be asked for at all (RFC 8555, 7.1.4 and 9.7.7)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import idna

from protocols.acme.errors import ACMEError, ErrorType, Problem
from protocols.acme.messages import Identifier

DNS = "dns"
MAX_NAME = 253
"""Characters of a name in text form without trailing dot (RFC 1035, 2.3.4)."""
MAX_LABEL = 63

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class IdentifierPolicy:
    """Which identifiers a directory takes. (Allow and deny lists are to come here.)"""

    single_label_names: frozenset[str] = frozenset()
    """Names of one label that may be asked for nevertheless, in lower case."""


class _Refusal(Exception):
    def __init__(self, type: ErrorType, detail: str) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail


def normalize_identifiers(identifiers: Sequence[Identifier], policy: IdentifierPolicy) -> tuple[Identifier, ...]:
    """The identifiers in canonical form, each once, in the order asked.

    Raises an error with one subproblem for each identifier that cannot be served (RFC 8555, 6.7.1).
    """
    accepted: dict[Identifier, None] = {}
    problems: list[Problem] = []
    for identifier in identifiers:
        try:
            accepted[_normalize(identifier, policy)] = None
        except _Refusal as refusal:
            problems.append(Problem(type=refusal.type, detail=refusal.detail, identifier=identifier))
    if problems:
        types = {problem.type for problem in problems}
        type_ = types.pop() if len(types) == 1 else ErrorType.COMPOUND
        detail = problems[0].detail if len(problems) == 1 else f"{len(problems)} identifiers cannot be served"
        raise ACMEError(type_, detail, subproblems=problems)
    return tuple(accepted)


def normalize_dns_name(name: str) -> str:
    """A host name, without wildcard, in lower case; raises ValueError with the reason for anything else."""
    try:
        return _host_name(name.lower())
    except _Refusal as refusal:
        raise ValueError(refusal.detail) from refusal


def split_wildcard(name: str) -> tuple[str, bool]:
    """The name without ``*.``, and whether it had it."""
    return (name[2:], True) if name.startswith("*.") else (name, False)


def _normalize(identifier: Identifier, policy: IdentifierPolicy) -> Identifier:
    if identifier.type != DNS:
        raise _Refusal(ErrorType.UNSUPPORTED_IDENTIFIER, "only identifiers of type dns are supported")
    base, is_wildcard = split_wildcard(identifier.value.lower())
    _refuse_address(base)
    name = _host_name(base)
    if "." not in name:
        _require_single_label(name, policy, is_wildcard=is_wildcard)
    if is_wildcard and len(name) + 2 > MAX_NAME:
        raise _Refusal(ErrorType.MALFORMED, f"the name is longer than {MAX_NAME} characters")
    return Identifier(DNS, f"*.{name}" if is_wildcard else name)


def _require_single_label(name: str, policy: IdentifierPolicy, *, is_wildcard: bool) -> None:
    if is_wildcard:
        raise _Refusal(ErrorType.REJECTED_IDENTIFIER, "a wildcard directly below a top-level name is not issued")
    if name not in policy.single_label_names:
        raise _Refusal(ErrorType.REJECTED_IDENTIFIER, "a name of one label is not issued here")


def _refuse_address(text: str) -> None:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return
    raise _Refusal(ErrorType.REJECTED_IDENTIFIER, "an IP address is not a DNS name")


def _host_name(name: str) -> str:
    if not name.isascii():
        raise _Refusal(ErrorType.MALFORMED, "internationalized names are sent as A-labels (xn--), RFC 8555, 7.1.4")
    if not name or len(name) > MAX_NAME:
        raise _Refusal(ErrorType.MALFORMED, f"a name has 1 to {MAX_NAME} characters")
    labels = name.split(".")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        raise _Refusal(ErrorType.MALFORMED, "the last label of a name is not a number")
    return name


def _check_label(label: str) -> None:
    if not label:
        raise _Refusal(ErrorType.MALFORMED, "a name has no empty label and no trailing dot")
    if len(label) > MAX_LABEL:
        raise _Refusal(ErrorType.MALFORMED, f"a label has at most {MAX_LABEL} characters")
    if not _LABEL.fullmatch(label):
        raise _Refusal(ErrorType.MALFORMED, "a label has letters, digits and inner hyphens only")
    if label[2:4] == "--" and not _is_a_label(label):
        raise _Refusal(ErrorType.MALFORMED, "a label with -- in places 3 and 4 is a valid A-label (RFC 5890)")


def _is_a_label(label: str) -> bool:
    """Whether it is the A-label of some U-label (IDNA 2008)."""
    if not label.startswith("xn--"):
        return False
    try:
        return idna.alabel(idna.ulabel(label)).decode("ascii") == label
    except (idna.IDNAError, UnicodeError, IndexError, ValueError):
        return False


def as_names(identifiers: Collection[Identifier]) -> frozenset[str]:
    """The names of ``dns`` identifiers, wildcards included."""
    return frozenset(identifier.value for identifier in identifiers if identifier.type == DNS)
