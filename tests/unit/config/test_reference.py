"""The annotated reference configuration, conf/cspd.toml: it loads, and it has every key there is."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from cspd.config.loader import load_configuration
from cspd.config.model import RootConfig
from cspd.config.protocols import find_declarations, load_object
from cspd.config.secrets import SecretStore
from cspd.config.values import SecretReference
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import write_tls

REFERENCE = Path(__file__).resolve().parents[3] / "conf" / "cspd.toml"
_OPTIONAL = re.compile(r"#([a-z_0-9]+ = .*|\[.*\])")


def everything_set() -> dict[str, Any]:
    """The reference with its optional lines taken in; where a key stands twice, the optional line counts."""
    tables: dict[str, dict[str, str]] = {"": {}}
    table = ""
    for line in REFERENCE.read_text().splitlines():
        optional = _OPTIONAL.fullmatch(line)
        text = optional[1] if optional else line
        if text.startswith("["):
            table = text
            tables.setdefault(table, {})
        elif " = " in text and not text.startswith("#"):
            tables[table][text.split(" = ")[0]] = text
    lines = [line for name, keys in tables.items() for line in ([name] if name else []) + list(keys.values())]
    return tomllib.loads("\n".join(lines))


def keys_of(annotation: Any, at: str) -> Iterator[str]:
    """Every key of a model with dots; ``*`` stands for a name that the administrator chooses."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation is SecretReference:
            return
        for name, field in annotation.model_fields.items():
            yield f"{at}{field.alias or name}"
            yield from keys_of(field.annotation, f"{at}{field.alias or name}.")
        return
    if get_origin(annotation) is Mapping:
        yield from keys_of(get_args(annotation)[1], f"{at}*.")
        return
    for argument in get_args(annotation):
        yield from keys_of(argument, at)


def written(values: dict[str, Any], at: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{at}{name}"
        if isinstance(value, dict):
            yield from written(value, f"{at}{name}.")


def test_reference_configuration_loads(tmp_path: Path) -> None:
    """Production takes it, with the secrets and the certificate it speaks of, and warns of what it allows."""
    shutil.copy(REFERENCE, tmp_path / "cspd.toml")
    (tmp_path / "cspd.toml").chmod(0o640)
    (tmp_path / "state").mkdir(mode=0o700)
    SecretStore(tmp_path / "state" / "secrets").set("software-master-key", b"0" * 64)
    write_tls(tmp_path, "pki.example.com")
    configuration = load_configuration(tmp_path / "cspd.toml", environment={}, clock=FrozenClock())
    assert sorted(configuration.protocols) == ["acme", "monitoring", "ocsp", "repository"]
    assert [warning.key for warning in configuration.warnings] == [("keys", "software")]


def test_every_key_of_every_model_is_in_the_reference() -> None:
    values = everything_set()
    present = {re.sub(r"^(listeners|keys\.pkcs11)\.[^.]+", r"\1.*", key) for key in written(values)}
    wanted = {key for key in keys_of(RootConfig, "") if not key.endswith("*")}
    for declaration in find_declarations().values():
        model = load_object(declaration, declaration.configuration)
        wanted |= set(keys_of(model, f"protocols.{declaration.name}."))
    assert sorted(wanted - present) == []


def test_the_optional_lines_are_right_too() -> None:
    values = everything_set()
    protocols = values.pop("protocols")
    RootConfig.model_validate(values)
    for name, declaration in find_declarations().items():
        protocols[name].pop("enabled", None)
        load_object(declaration, declaration.configuration).model_validate(protocols[name])


def test_documented_defaults_are_the_defaults() -> None:
    """Where the reference sets a key that has a default, it sets that default, but for names and examples."""
    values = everything_set()
    examples = {"protocols.acme.profiles"}
    for name, declaration in find_declarations().items():
        model = load_object(declaration, declaration.configuration)
        given = {
            key: value
            for key, value in values["protocols"][name].items()
            if f"protocols.{name}.{key}" not in examples and key != "enabled" and not key.endswith("_by_ca")
        }
        assert model.model_validate(given) == model()
