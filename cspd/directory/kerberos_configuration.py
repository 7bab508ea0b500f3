"""``krb5.conf``: which file the Kerberos library reads, and whether it says what several forests need."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from cspd.refusals import Malformed, Unavailable

MAX_FILE = 1 << 20
"""Octets."""
_VARIABLE = "KRB5_CONFIG"
_SECTION = re.compile(r"\[([A-Za-z0-9_]+)\]\*?")
_REALM = re.compile(r"([^\s={}]+)\s*=\s*\{?")


def use_kerberos_configuration(
    file: Path, domains: Sequence[str], *, environment: MutableMapping[str, str] | None = None
) -> None:
    """Let the Kerberos library of this process read ``file``, which must know the realm of every domain.

    The library takes the name of its one configuration from the environment, whenever it begins something new. So two
    sections of conf cannot have different ones.
    Raises Malformed for a file without a default realm, or without the realm of a domain (R-CEGI-029), and when the
    process uses another file already; Unavailable for a file that cannot be read.
    """
    environment = os.environ if environment is None else environment
    try:
        text = file.read_bytes()[:MAX_FILE].decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise Unavailable(f"{file} cannot be read: {error}") from error
    check_kerberos_configuration(text, domains, what=str(file))
    path = str(file.resolve())
    used = environment.get(_VARIABLE)
    if used is not None and used != path:
        raise Malformed(f"Kerberos of this process is configured by {used}; it cannot also be by {path}")
    environment[_VARIABLE] = path


def check_kerberos_configuration(text: str, domains: Sequence[str], *, what: str) -> None:
    """Check that a krb5.conf (``what`` names it) has a default realm, and the realm of each domain; raises Malformed.

    With ``dns_lookup_kdc`` not switched off a realm that is not listed is found by DNS, and then need not be there.
    """
    default_realm, finds_by_dns, realms = "", True, set()
    section, depth = "", 0
    for line in map(str.strip, text.splitlines()):
        if not line or line[0] in "#;":
            continue
        if depth == 0 and (found := _SECTION.fullmatch(line)):
            section = found[1]
            continue
        name, _, value = (part.strip() for part in line.partition("="))
        if section == "libdefaults" and depth == 0:
            default_realm = value if name == "default_realm" else default_realm
            if name == "dns_lookup_kdc":
                finds_by_dns = value.lower() not in ("false", "no", "f", "n", "0", "off", "nil")
        if section == "realms" and depth == 0 and (entry := _REALM.match(line)):
            realms.add(entry[1])
        depth = max(0, depth + line.count("{") - line.count("}"))
    if not default_realm:
        raise Malformed(f"{what}: [libdefaults] has no default_realm")
    missing = [domain.upper() for domain in domains if domain.upper() not in realms]
    if missing and not finds_by_dns:
        raise Malformed(f"{what}: [realms] lacks {', '.join(missing)}, and dns_lookup_kdc is off")
