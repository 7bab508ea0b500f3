"""Connects to Active Directory: accounts, groups and certificate templates of its forests, and their passwords.

A question goes this way::

    directory.py     which domain, which question                      reactor thread
    locator.py       which domain controllers (DNS SRV, or conf)       reactor thread
    forests.py       the searches, and referrals as conf allows        reactor thread
    connections.py   pooled connections; the next controller if one    thread of its own
                     is away
    ldap.py          ldap3: sockets, TLS, bind, search                 "

:mod:`.config` has the settings, :mod:`.filters` writes search filters, :mod:`.entries` reads entries, and
:mod:`.check` is the directory as somebody who knows passwords. Nothing here can write to a directory.
"""

from cspd.plugin import ConnectorDeclaration

accounts_and_templates = ConnectorDeclaration(
    kind="directory",
    name="active-directory",
    summary="the accounts, groups and certificate templates of Active Directory",
    factory="plugins.active_directory.assembly:build_directory",
    configuration="plugins.active_directory.config:ActiveDirectorySettings",
)
passwords = ConnectorDeclaration(
    kind="password-check",
    name="active-directory",
    summary="the passwords of the accounts in Active Directory",
    factory="plugins.active_directory.assembly:build_password_check",
    configuration="plugins.active_directory.config:ActiveDirectorySettings",
)
