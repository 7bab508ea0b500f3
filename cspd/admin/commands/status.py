"""``cspctl status`` and ``cspctl reload``: the running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cspd.admin.invocation import Invocation
from cspd.config.problems import Problem


@click.command()
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Show what the daemon serves.

    Its health and the parts that are not well, its listeners, protocols, CAs and
    certificates, and the URL for each kind of client.
    """
    found = invocation.run("daemon-status")
    if invocation.as_json:
        invocation.output.record(found)
        return
    urls, authorities, parts = found.pop("enrollment_urls"), found.pop("authorities"), found.pop("parts")
    found["listeners"] = [f"{name} on {address}" for name, address in found["listeners"].items()]
    found["certificates"] = [f"{count} {state}" for state, count in found["certificates"].items()] or "none"
    invocation.output.record(found)
    click.echo()
    if troubles := [part for part in parts if part["state"] != "ok"]:
        invocation.output.rows(troubles, ("part", "state", "reason"), empty="")
        click.echo()
    invocation.output.rows(authorities, ("ca", "type", "state", "key_type", "not_after"), empty="no CAs")
    for each in urls:
        click.echo(f"\n{each['what']}\n  {each['url']}" + (f"\n  {each['command']}" if each["command"] else ""))


@click.command()
@click.pass_obj
def reload(invocation: Invocation) -> None:
    """Apply the conf files as they are now.

    Bad ones are reported and leave the daemon as it is. Running requests are not disturbed.
    """
    answer = invocation.run("daemon-reload")
    if not invocation.as_json:
        for warning in answer["warnings"]:
            click.echo(f"warning: {_sentence(warning)}", err=True)
    invocation.output.text("The configuration is active.", **answer)


def _sentence(warning: dict[str, Any]) -> Problem:
    file, key = warning["file"], warning["key"]
    return Problem(
        what=warning["problem"],
        remedy=warning["remedy"],
        key=(key,) if key else (),
        file=Path(file) if file else None,
        line=warning["line"],
    )
