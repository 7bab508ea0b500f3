"""``cspctl scep ra``: what it shows, and a renewal by hand."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.logger import capturedLogs

from cspd.admin.output import Output
from cspd.keys.values import KeyType
from cspd.refusals import NotFound
from cspd.x509.names import format_name
from protocols.scep.ra_commands import ra
from protocols.scep.ra_operations import WhichCA
from protocols.scep.registration_authority_assembly import SETTLING
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig
from tests.protocols.scep.registration_authorities import DAY, ENTRY, PROFILE, SEPARATE, Node, installed
from tests.support.running import result_of


def test_the_list_has_each_certificate_with_its_key_and_end() -> None:
    node = Node(installed())
    certificate = node.certificate()
    [row] = node.list()
    assert row == {
        "ca": "demo~issuing",
        "role": "signing and encryption",
        "profile": PROFILE,
        "subject": format_name(certificate.subject),
        "serial": f"{certificate.serial_number:x}",
        "key": row["key"],
        "not_after": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "health": "ok",
        "reason": "",
    }


def test_two_certificates_are_two_lines_and_what_is_missing_is_said() -> None:
    separate = RegistrationAuthorityConfig(
        ca="demo~issuing", signing_profile=SEPARATE[0], encryption_profile=SEPARATE[1], key_type=KeyType.RSA_2048
    )
    with capturedLogs():
        node = Node(installed(), separate, ENTRY.model_copy(update={"ca": "demo~none"}))
    rows = node.list()
    assert [(row["ca"], row["role"], row["health"]) for row in rows] == [
        ("demo~issuing", "signing", "ok"),
        ("demo~issuing", "encryption", "ok"),
        ("demo~none", "signing and encryption", "failed"),
    ]
    assert rows[0]["key"] != rows[1]["key"]
    assert rows[2]["key"] is None
    assert rows[2]["reason"] == "it gets no certificate: no CA demo~none"


@pytest.mark.requirement("R-CEG-059")
def test_a_renewal_by_hand_replaces_key_and_certificate() -> None:
    node = Node(installed())
    first = node.certificate()
    node.pass_time(DAY)
    node.renew_now()
    assert node.certificate() == first
    node.pass_time(SETTLING)
    assert node.certificate().public_key() != first.public_key()
    assert len(node.of().recipients) == 2


def test_a_renewal_for_a_ca_without_entry_is_refused() -> None:
    node = Node(installed())
    _, renew = node.built.operations
    with pytest.raises(NotFound, match="demo~root has no registration authority in conf"):
        result_of(renew.run(WhichCA(ca="demo~root"), None))  # type: ignore[arg-type]  # whoever


def run(*arguments: str, answer: Any) -> tuple[list[Any], str]:
    """What a command asks of the daemon, and what it writes."""
    asked: list[Any] = []
    stream = StringIO()

    def ask(operation: str, **values: Any) -> Any:
        asked.append((operation, values))
        return answer

    invocation = SimpleNamespace(run=ask, output=Output(as_json=False, stream=stream, width=200))
    done = CliRunner().invoke(ra, list(arguments), obj=invocation, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return asked, stream.getvalue()


def test_commands_ask_for_the_operations() -> None:
    row = {"ca": "demo~issuing", "role": "signing", "subject": "CN=RA", "key": "software:1", "not_after": None}
    asked, written = run("list", answer=[{**row, "health": "ok", "reason": ""}])
    assert asked == [("scep-ra-list", {})]
    assert "CN=RA" in written
    asked, written = run("list", answer=[])
    assert written.strip() == "no [[protocols.scep.registration_authorities]] in conf"
    asked, written = run("renew", "demo~issuing", answer={"ca": "demo~issuing"})
    assert asked == [("scep-ra-renew", {"ca": "demo~issuing"})]
    assert "demo~issuing has a new registration authority" in written
