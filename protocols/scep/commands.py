"""``cspctl scep``: one-time challenges of clients, and registration authorities."""

from __future__ import annotations

from typing import Any

import click

from cspd.admin.commands.enrollment_secret import commands_for
from protocols.scep.one_time_challenges import PURPOSE, OneTimeChallenge, joined_text
from protocols.scep.ra_commands import ra


@click.group("scep")
def scep() -> None:
    """Challenges and registration authorities of the Simple Certificate Enrolment Protocol."""


def _with_challenge(made: dict[str, Any]) -> dict[str, Any]:
    """A new challenge as the one string that a client takes; who gave its secret knows that."""
    secret = made.pop("secret", None)
    if secret is None:
        return made
    return {"challenge": joined_text(OneTimeChallenge(made["reference"], secret)), **made}


scep.add_command(ra)
scep.add_command(commands_for(PURPOSE, "challenge", with_names=True, shown=_with_challenge))
