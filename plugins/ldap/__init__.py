"""Connects to a directory that knows users and passwords (LDAPv3, RFC 4511).

:mod:`plugins.ldap.config` has the settings, :mod:`plugins.ldap.directory` the conversation with one server, and
:mod:`plugins.ldap.check` asks several of them from threads of its own.
"""

from cspd.plugin import ConnectorDeclaration

ldap = ConnectorDeclaration(
    kind="password-check",
    name="ldap",
    summary="a directory that is asked by LDAP whether a password is right",
    factory="plugins.ldap.check:build",
    configuration="plugins.ldap.config:LDAPConfig",
)
