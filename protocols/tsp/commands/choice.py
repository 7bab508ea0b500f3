"""Which keys a command works on: the option, else the configuration, else an error (R-TSA-079).

cspd keeps tokens in ``[keys.pkcs11.NAME]`` and may keep keys in software. ``-t`` names the label of a token, ``-v`` its
vendor; without both it is the default of ``[keys]``. A token that is not configured can be used all the same, if the
vendor's module is found: that of a configured token, or where the vendor installs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cspd.keys.config import KeysConfig, TokenConfig, Vendor
from cspd.keys.pkcs11.vendors import installed_module
from cspd.keys.software import PROVIDER as SOFTWARE


class NoChoice(Exception):
    """Options and configuration do not say which keys; the text says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Where the keys are."""

    provider: str
    """The name in ``[keys]``; ``unconfigured`` for one that is not configured."""
    label: str
    """Of the token; ``software`` for software keys."""
    vendor: Vendor
    module: str | None
    """Its PKCS#11 library; None for software keys."""
    configured: TokenConfig | None = None

    @property
    def is_software(self) -> bool:
        """Whether there is no token at all."""
        return self.module is None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the module wants in the environment."""
        return {} if self.configured is None else self.configured.environment


UNCONFIGURED = "unconfigured"


def choose(
    keys: KeysConfig | None,
    *,
    label: str | None,
    vendor: Vendor | None,
    find_module: Callable[[Vendor], str | None] = installed_module,
) -> Chosen:
    """What to work on; ``keys`` None: the configuration is not loaded. Raises :class:`NoChoice`."""
    if keys is None:
        if label is None or vendor is None:
            raise NoChoice("the configuration is not loaded: give the token label with -t and the vendor with -v")
        return _unconfigured(label, vendor, find_module(vendor))
    _refuse_second_vendor(keys, vendor)
    if label is None:
        return _of_configuration(keys, vendor)
    matching = [name for name in _matching(keys, vendor) if keys.pkcs11[name].token_label == label]
    if len(matching) > 1:
        raise NoChoice(f"several tokens have the label {label}: give the vendor with -v")
    if matching:
        return _configured(keys, matching[0])
    if label == SOFTWARE and keys.software is not None and vendor in (None, Vendor.NONE):
        return _SOFTWARE
    present = [token for token in keys.pkcs11.values() if vendor in (None, token.vendor)]
    if vendor is None:
        if len({token.vendor for token in present}) != 1:
            raise NoChoice(f"no token with the label {label} is configured: give its vendor with -v")
        vendor = present[0].vendor
    return _unconfigured(label, vendor, present[0].module if present else find_module(vendor))


def _of_configuration(keys: KeysConfig, vendor: Vendor | None) -> Chosen:
    if vendor is None:
        return _SOFTWARE if keys.default == SOFTWARE else _configured(keys, keys.default)
    matching = _matching(keys, vendor)
    if keys.default in matching:
        return _configured(keys, keys.default)
    if vendor is Vendor.NONE and keys.software is not None and (keys.default == SOFTWARE or not matching):
        return _SOFTWARE
    if len(matching) != 1:
        which = "several tokens" if matching else "no token"
        raise NoChoice(f"{which} of the vendor {vendor.value} configured: give the token label with -t")
    return _configured(keys, matching[0])


def _matching(keys: KeysConfig, vendor: Vendor | None) -> list[str]:
    return [name for name, token in keys.pkcs11.items() if vendor in (None, token.vendor)]


def _refuse_second_vendor(keys: KeysConfig, vendor: Vendor | None) -> None:
    deployed = {token.vendor for token in keys.pkcs11.values()} - {Vendor.NONE}
    if vendor not in (None, Vendor.NONE) and deployed and vendor not in deployed:
        (other,) = deployed
        raise NoChoice(f"one deployment has the modules of one vendor only: {other.value}")


def _configured(keys: KeysConfig, name: str) -> Chosen:
    token = keys.pkcs11[name]
    return Chosen(provider=name, label=token.token_label, vendor=token.vendor, module=token.module, configured=token)


def _unconfigured(label: str, vendor: Vendor, module: str | None) -> Chosen:
    if module is None:
        raise NoChoice(f"the PKCS#11 module of the vendor {vendor.value} is not where it is installed")
    return Chosen(provider=UNCONFIGURED, label=label, vendor=vendor, module=module)


_SOFTWARE = Chosen(provider=SOFTWARE, label=SOFTWARE, vendor=Vendor.NONE, module=None)
