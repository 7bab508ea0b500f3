"""ACME (RFC 8555).

The conversation, as a client has it, and who answers:

====================================  =======================================================================
``GET  directory``                    :mod:`protocols.acme.directories`: the URLs of one tenant, CA and profile
``HEAD new-nonce``                    :mod:`protocols.acme.nonces`: sealed, single use, valid on every node
``POST new-account``                  :mod:`protocols.acme.accounts`: found by its key, or made
``POST new-order``                    :mod:`protocols.acme.orders`: names in, authorizations out
``POST authorization/<id>``           :mod:`protocols.acme.authorizations`
``POST challenge/<id>``               :mod:`protocols.acme.validation`: checked in the background, by the types in
                                      :mod:`protocols.acme.challenges`
``POST order/<id>/finalize``          :mod:`protocols.acme.finalization`: the CSR goes to the core's ``enroll``
``POST certificate/<serial>``         :mod:`protocols.acme.download`
``POST revoke-cert``                  :mod:`protocols.acme.revocation`: the core's ``revoke``
``POST key-change``                   :mod:`protocols.acme.accounts`
====================================  =======================================================================

:mod:`protocols.acme.endpoint` speaks HTTP, :mod:`protocols.acme.authentication` opens the JWS that every POST is, and
:mod:`protocols.acme.states` holds all moves of orders, authorizations and challenges.
"""
