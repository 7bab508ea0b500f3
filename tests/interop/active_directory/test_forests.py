"""Two forests that trust each other, both of Samba."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cspd.directory.values import Principal
from cspd.refusals import Unauthorized
from plugins.active_directory.directory import ActiveDirectory
from tests.interop.active_directory.asking import ask
from tests.interop.active_directory.test_kerberos import accept, negotiation, service
from tests.support.kerberos_client import token
from tests.support.samba_ad import PASSWORD, SambaAD

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def other(samba: SambaAD) -> Iterator[SambaAD]:
    with SambaAD("other.test", "OTHER", "dc9") as running:
        samba.trust(running)
        yield running


@pytest.mark.requirement("R-CEG-127")
@pytest.mark.requirement("R-CEGI-030")
def test_accounts_of_one_name_in_two_forests_are_two(samba: SambaAD, other: SambaAD) -> None:
    async def question(directory: ActiveDirectory) -> None:
        ours = await directory.authenticate("CSPD\\alice", PASSWORD)
        theirs = await directory.authenticate("alice@other.test", PASSWORD)
        assert ours.sid.startswith(samba.sid + "-")
        assert theirs.sid.startswith(other.sid + "-")
        assert await directory.authenticate("alice", PASSWORD) == theirs
        assert await directory.account_of(Principal(name="alice@OTHER.TEST", sid=theirs.sid)) == theirs
        with pytest.raises(Unauthorized):  # a SID counts in its own realm alone
            await directory.account_of(Principal(name="alice@OTHER.TEST", sid=ours.sid))

    ask({"domains": [samba.domain_settings(), other.domain_settings()], "default_domain": "OTHER"}, question)


def test_a_ticket_from_the_other_forest(
    samba: SambaAD, other: SambaAD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CONFIG", str(samba.krb5_conf))
    theirs = {**other.kinit("alice", tmp_path / "theirs"), "KRB5_CONFIG": str(other.krb5_conf)}
    answer = accept(negotiation(samba, tmp_path), token(service(samba), theirs))
    assert answer.principal.name == "alice@OTHER.TEST"
    assert answer.principal.sid is not None
    assert answer.principal.sid.startswith(other.sid + "-")
    account = ask(other.settings(), lambda directory: directory.account_of(answer.principal))
    assert str(account) == "OTHER\\alice"
