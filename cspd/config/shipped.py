"""Finds the files that ship with cspd: the profiles, and the reference configuration."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path


def shipped_folder() -> Path:
    """The ``conf`` folder of the distribution: in the source tree, or where a wheel puts its data files.

    Raises FileNotFoundError, naming the places where it looked.
    """
    places = list(_places())
    for place in places:
        if (place / "profiles").is_dir():
            return place
    raise FileNotFoundError(f"the files that ship with cspd are in none of {', '.join(map(str, places))}")


def shipped_profiles() -> Path:
    """The folder of the profiles that ship with cspd."""
    return shipped_folder() / "profiles"


def _places() -> Iterator[Path]:
    yield Path(__file__).resolve().parents[2] / "conf"
    yield Path(sysconfig.get_path("data")) / "share" / "cspd" / "conf"
    yield Path(sysconfig.get_path("data", f"{sysconfig.get_preferred_scheme('user')}")) / "share" / "cspd" / "conf"
