"""``cspctl request``: requests that wait for an approval."""

from __future__ import annotations

import click

from cspd.admin.invocation import Invocation
from cspd.authority.approvals import RequestState

_COLUMNS = ("id", "state", "ca", "profile", "subject", "names", "requester", "received_at")
_ID = click.argument("id")


@click.group()
def request() -> None:
    """Decide on requests that wait for approval."""


@request.command("list")
@click.option(
    "--state", type=click.Choice([state.value for state in RequestState]), default="waiting", show_default=True
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.pass_obj
def list_requests(invocation: Invocation, state: str, limit: int) -> None:
    """List requests, the oldest first."""
    rows = invocation.run("request-list", state=state, limit=limit)
    invocation.output.rows(rows, _COLUMNS, empty="no requests")


@request.command()
@_ID
@click.pass_obj
def show(invocation: Invocation, id: str) -> None:
    """Show one request."""
    invocation.output.record(invocation.run("request-show", id=id))


@request.command()
@_ID
@click.pass_obj
def approve(invocation: Invocation, id: str) -> None:
    """Approve a request: its certificate is issued at once, and the client gets it when it asks again."""
    approved = invocation.run("request-approve", doing="signing", id=id)
    invocation.output.text(f"{approved['ca']} issued {approved['serial']} for the request.", **approved)


@request.command()
@_ID
@click.option("--reason", default="denied by an administrator", show_default=True, help="The client is told.")
@click.pass_obj
def deny(invocation: Invocation, id: str, reason: str) -> None:
    """Deny a request."""
    denied = invocation.run("request-deny", id=id, reason=reason)
    invocation.output.text("The request is denied.", **denied)
