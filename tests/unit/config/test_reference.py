"""The annotated reference configuration, conf/cspd.toml: it loads, and it has every key there is."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from cspd.config.loader import load_configuration
from cspd.config.model import RootConfig
from cspd.config.protocols import find_declarations, load_object
from cspd.config.secrets import SecretStore
from cspd.config.values import SecretReference
from tests.protocols.tsp.unit_certificates import Hierarchy, write_pem
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import write_tls

REFERENCE = Path(__file__).resolve().parents[3] / "conf" / "cspd.toml"
_OPTIONAL = re.compile(r"#([a-z_0-9]+ = .*|\[.*\])")
_EXAMPLES = {
    "protocols.acme.profiles",
    "protocols.est.users",
    "protocols.scep.services.webhook.users",
    "protocols.tsp.issuers.ca_chain",
    "protocols.cmp.registration_authorities.cas",
}


def everything_set() -> dict[str, Any]:
    """The reference with its optional lines taken in; where a key stands twice, the optional line counts."""
    tables: dict[tuple[int, str], dict[str, str]] = {(0, ""): {}}
    entry, table = 0, (0, "")
    for line in REFERENCE.read_text().splitlines():
        optional = _OPTIONAL.fullmatch(line)
        text = optional[1] if optional else line
        if text.startswith("["):
            entry += text.startswith("[[")  # the same names again, in another entry of a list of tables
            table = (entry, text)
            tables.setdefault(table, {})
        elif " = " in text and not text.startswith("#"):
            tables[table][text.split(" = ")[0]] = text
    lines = [line for (_, name), keys in tables.items() for line in ([name] if name else []) + list(keys.values())]
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
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                yield from written(table, f"{at}{name}.")


def test_reference_configuration_loads(tmp_path: Path) -> None:
    """Production takes it, with the secrets and the certificate it speaks of, and warns of what it allows."""
    shutil.copy(REFERENCE, tmp_path / "cspd.toml")
    (tmp_path / "cspd.toml").chmod(0o640)
    (tmp_path / "state").mkdir(mode=0o700)
    store = SecretStore(tmp_path / "state" / "secrets")
    store.set("software-master-key", b"0" * 64)
    store.set("router-7", b"correct horse")
    store.set("scep-challenge", b"correct horse")
    write_tls(tmp_path, "pki.example.com")
    tsa = Hierarchy()
    write_pem(tmp_path / "tsa.pem", tsa.unit())
    write_pem(tmp_path / "tsa-ca.pem", tsa.issuing.certificate)
    write_pem(tmp_path / "tsa-root.pem", tsa.root.certificate)
    configuration = load_configuration(tmp_path / "cspd.toml", environment={}, clock=FrozenClock())
    assert sorted(configuration.protocols) == [
        "acme",
        "cmp",
        "est",
        "mdm",
        "monitoring",
        "ocsp",
        "repository",
        "scep",
        "tsp",
        "wstep",
    ]
    assert [warning.key for warning in configuration.warnings] == [("keys", "software")]


def test_every_key_of_every_model_is_in_the_reference() -> None:
    values = everything_set()
    present = {re.sub(r"^(listeners|keys\.pkcs11|authentication)\.[^.]+", r"\1.*", key) for key in written(values)}
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
    for name, declaration in find_declarations().items():
        values["protocols"][name].pop("enabled", None)
        model = load_object(declaration, declaration.configuration)
        assert list(other_than_default(model, values["protocols"][name], f"protocols.{name}")) == []


def other_than_default(model: type[BaseModel], values: dict[str, Any], at: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{at}.{field.alias or name}"
        value = values.get(field.alias or name)
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
        tables = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
        for section in (each for each in inner if issubclass(each, BaseModel)):
            for table in tables:
                yield from other_than_default(section, table, key)
        if tables or value is None or field.is_required() or key in _EXAMPLES:
            continue
        default = field.get_default(call_default_factory=True)
        if default is not None and _checked(model, name, value) != default:
            yield key


def _checked(model: type[BaseModel], name: str, value: Any) -> Any:
    field = model.model_fields[name]
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[field.annotation, *field.metadata, None]  # type: ignore[valid-type]  # the model's own
    )
    return adapter.validate_python(value)
