"""The section ``[keys]``: where private keys live.

::

    [keys]
    default = "software"                  # or the name of a [keys.pkcs11.NAME]: where new keys are made

    [keys.software]
    master_key = { file = "master.key" }  # at least 32 random octets: openssl rand -hex 32 > master.key

    [keys.pkcs11.hsm]
    module = "/opt/nfast/toolkits/pkcs11/libcknfast.so"
    token_label = "issuing"
    pin = { file = "hsm.pin" }
    sessions = 8
    vendor = "nshield"
    environment = { CKNFAST_LOADSHARING = "1" }
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from cspd.config.values import SecretReference, Section
from cspd.keys.software import PROVIDER as SOFTWARE

ProviderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Vendor(Enum):
    """Whose module it is (R-PLAT-110)."""

    NONE = "none"
    """A software token such as SoftHSM, or a vendor without special needs."""
    NSHIELD = "nshield"
    THALES = "thales"


class SoftwareKeysConfig(Section):
    """``[keys.software]``."""

    master_key: SecretReference
    """The secret that the software keys are encrypted with; whoever has it and the store has the keys."""
    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    """Signing threads; as many as there are processors for the process if not given."""


class TokenConfig(Section):
    """``[keys.pkcs11.NAME]``: one token."""

    module: Annotated[str, Field(min_length=1)]
    """The vendor's PKCS#11 library, an absolute path."""
    token_label: Annotated[str, Field(min_length=1, max_length=32)]
    """CK_TOKEN_INFO has 32 octets for it (PKCS#11 v2.40, 3.2)."""
    pin: SecretReference
    sessions: Annotated[int, Field(ge=1, le=256)] = 4
    """The largest number of sessions, and of signatures at the same time; has to be given for a vendor's HSM."""
    vendor: Vendor = Vendor.NONE
    environment: Mapping[VariableName, str] = Field(default_factory=dict)
    """Set before the module is loaded, for the vendor's own switches. One process has one environment: two tokens
    that give the same variable different values are refused."""

    @field_validator("module")
    @classmethod
    def _absolute(cls, module: str) -> str:
        if not module.startswith("/"):
            raise ValueError('an absolute path, for example "/usr/lib/softhsm/libsofthsm2.so"')
        return module

    @field_validator("token_label")
    @classmethod
    def _fits(cls, label: str) -> str:
        if len(label.encode()) > 32:
            raise ValueError("a token label has at most 32 octets in UTF-8")
        return label

    @model_validator(mode="after")
    def _sessions_of_a_vendor(self) -> TokenConfig:
        if self.vendor is not Vendor.NONE and "sessions" not in self.model_fields_set:
            raise ValueError(
                f'sessions with vendor = "{self.vendor.value}": how many of the HSM\'s sessions this server may take, '
                "for example sessions = 4"
            )
        return self


class KeysConfig(Section):
    """``[keys]``."""

    default: ProviderName = SOFTWARE
    """Where keys are made when nobody says otherwise."""
    software: SoftwareKeysConfig | None = None
    pkcs11: Mapping[ProviderName, TokenConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> KeysConfig:
        if SOFTWARE in self.pkcs11:
            raise ValueError(f'no token can have the name "{SOFTWARE}"')
        providers = ([SOFTWARE] if self.software else []) + list(self.pkcs11)
        if not providers:
            raise ValueError("neither [keys.software] nor a [keys.pkcs11.NAME]: there is no place for keys")
        if self.default not in providers:
            raise ValueError(f'default = "{self.default}" is not configured; there is: {", ".join(providers)}')
        vendors = {token.vendor for token in self.pkcs11.values()} - {Vendor.NONE}
        if len(vendors) > 1:
            names = " and ".join(sorted(vendor.value for vendor in vendors))
            raise ValueError(f"tokens of {names}: one deployment has the modules of one vendor only")
        self.environment()
        return self

    def environment(self) -> Mapping[str, str]:
        """What all tokens together want in the environment; raises ValueError where they contradict each other."""
        wanted: dict[str, str] = {}
        for name, token in self.pkcs11.items():
            for variable, value in token.environment.items():
                if wanted.setdefault(variable, value) != value:
                    raise ValueError(f"pkcs11.{name}.environment.{variable} has another value than at another token")
        return wanted


__all__ = ["KeysConfig", "SoftwareKeysConfig", "TokenConfig", "Vendor"]
