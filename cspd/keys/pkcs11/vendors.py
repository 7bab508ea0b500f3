"""Where the vendors' installers put their PKCS#11 library, for tokens that conf does not name."""

from __future__ import annotations

import os
from collections.abc import Mapping

from cspd.keys.config import Vendor

MODULES: Mapping[Vendor, tuple[str, ...]] = {
    Vendor.NONE: (
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ),
    Vendor.NSHIELD: ("/opt/nfast/toolkits/pkcs11/libcknfast.so",),
    Vendor.THALES: ("/usr/safenet/lunaclient/lib/libCryptoki2_64.so",),
}
"""In the order in which they are looked for."""


def installed_module(vendor: Vendor) -> str | None:
    """The vendor's library on this machine; None if it is in none of the usual places."""
    return next((path for path in MODULES[vendor] if os.path.exists(path)), None)


__all__ = ["MODULES", "installed_module"]
