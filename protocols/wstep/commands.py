"""``cspctl wstep``: what Active Directory has to know of CAs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cspd.admin.invocation import Invocation
from protocols.wstep.ad_objects import DEFAULT_TEMPLATE


@click.group("wstep")
def wstep() -> None:
    """What Active Directory has to know of CAs that enroll Windows."""


@wstep.command()
@click.pass_obj
def servers(invocation: Invocation) -> None:
    """List the URLs of each CA, with their values of msPKI-Enrollment-Servers."""
    rows = invocation.run("wstep-servers")
    invocation.output.rows(rows, ("ca", "tenant", "authentication", "value"), empty="no [[protocols.wstep.services]]")


_OPTIONS = (
    click.option("--forest", required=True, help='The DNS name of the root domain: "example.com".'),
    click.option("--tenant", help="Whose URLs; needed where there are several tenants."),
    click.option("--name", help="Of the enrollment service; the CA's common name if not given."),
    click.option("--host", help="dNSHostName; the host of the server's public URL if not given."),
    click.option(
        "--template",
        "templates",
        multiple=True,
        default=(DEFAULT_TEMPLATE,),
        show_default=True,
        help="A certificate template that is issued; may be given several times. WSTEPUser always is.",
    ),
    click.option("--new-templates", is_flag=True, help="Make the templates that conf maps to profiles, too."),
    click.option(
        "--machine", "machines", multiple=True, help="One of them by which machines enroll; others are users'."
    ),
    click.option("--template-oid-arc", help="The forest's arc of templates; made from their names if not given."),
    click.option("--group", help='The security group that may enroll: "EXAMPLE\\Staff", "Staff@example.com".'),
    click.option("--new-nt-auth", is_flag=True, help="The forest has no NTAuthCertificates: it never had an AD CS."),
    click.option("--check", is_flag=True, help="Compare with what the directory has; write nothing."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@wstep.command("ad-objects")
@click.argument("ca")
@_with_options
@click.pass_context
def ad_objects(
    context: click.Context,
    /,
    ca: str,
    *,
    templates: tuple[str, ...],
    machines: tuple[str, ...],
    new_nt_auth: bool,
    check: bool,
    **options: Any,
) -> None:
    """Write the LDIF that makes CA known in Active Directory, for ldifde or ldapmodify, run by an administrator.

    With --check, say what of it is not there, and end with 1 if anything is.
    """
    invocation: Invocation = context.obj
    told = {
        "ca": ca,
        "templates": list(templates),
        "machines": list(machines),
        "has_nt_auth": not new_nt_auth,
        **options,
    }
    if not check:
        invocation.output.record(invocation.run("wstep-ad-objects", **told))
        return
    problems = invocation.run("wstep-ad-check", **told)["problems"]
    invocation.output.rows([{"problem": each} for each in problems], ("problem",), empty="all is as it shall be")
    if problems:
        context.exit(1)
