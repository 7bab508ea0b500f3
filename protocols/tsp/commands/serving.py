"""``stop`` and ``deploy``: whether the daemon serves timestamps, and by which configuration."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation
from protocols.tsp.commands.progress import stage
from protocols.tsp.commands.recorded import RecordedCommand

PROTOCOL = "tsp"
_STAGES = (
    "Stopping Services",
    "Stopping Deployments",
    "Stopping Stateful Sets",
    "Stopping Pods",
)
"""What follows once nobody is served any more. The guide's words; here it is one thing with the first."""
REDEPLOY = (
    "Warning: tsa is already deployed! "
    "To apply the changes, tsa needs to be redeployed using the tsactl deploy command."
)


@click.command(cls=RecordedCommand)
@click.pass_obj
def stop(invocation: Invocation) -> None:
    """Take the authority out of service until it is deployed.

    A listener that serves nothing else is closed; on one that serves more, /tsa is not found. A restart of the daemon
    changes nothing about it. On several nodes each is stopped by itself.
    """
    with stage(invocation, "Stopping Virtual Services"):
        answer = invocation.run("daemon-withdraw", protocol=PROTOCOL)
    for each in _STAGES:
        with stage(invocation, each):
            pass
    if invocation.as_json:
        invocation.output.value(answer)


@click.command(cls=RecordedCommand)
@click.pass_obj
def deploy(invocation: Invocation) -> None:
    """Make the conf files active, and serve timestamps.

    A configuration with a problem is refused, and the one that is active goes on.
    """
    with stage(invocation, "Validating configuration"):
        invocation.configuration()
    with stage(invocation, "Deploying tsa"):
        answer = invocation.run("daemon-deploy", protocol=PROTOCOL)
    if invocation.as_json:
        invocation.output.value(answer)
        return
    for warning in answer["warnings"]:
        click.echo(f"warning: {warning['key']}: {warning['problem']}", err=True)


@click.command("list", cls=RecordedCommand)
@click.pass_obj
def list_issuers(invocation: Invocation) -> None:
    """List the issuers, with certificate and health."""
    columns = ("issuer", "url", "policy", "certificate", "signs_until", "health", "reason")
    invocation.output.rows(invocation.run_in_daemon("tsa-list"), columns, empty="no issuers")


def warn_if_deployed(invocation: Invocation) -> None:
    """Say that files which were imported need a deployment, if the daemon serves timestamps now (R-TSA-085)."""
    status = invocation.told_by_daemon("daemon-status")
    if status is not None and PROTOCOL in status["protocols"]:
        click.echo(REDEPLOY, err=invocation.as_json)
