"""Accounts, orders, authorizations and challenges in the database.

All functions take the connection of a work of :class:`cspd.store.interfaces.Database` and leave the commit to it. An
update that moves an object names the state it starts from and tells whether it found it, so racing moves exclude each
other.
"""

from protocols.acme.repository.accounts import (
    deactivate_account,
    find_account,
    find_account_by_key,
    insert_account,
    set_contact,
    set_key,
)
from protocols.acme.repository.authorizations import (
    abandoned_challenges,
    begin_challenge,
    challenge_failed,
    challenge_succeeded,
    deactivate_authorization,
    delete_expired_authorizations,
    find_authorization,
    find_challenge,
    holds_authorizations,
    lease_challenge,
    release_challenge,
)
from protocols.acme.repository.leases import end_leases_of_the_dead
from protocols.acme.repository.orders import (
    abandoned_orders,
    begin_processing,
    complete_order,
    delete_expired_orders,
    fail_order,
    find_certificate_of_order,
    find_order,
    find_order_of_certificate,
    insert_order,
    lease_processing_order,
    postpone_order,
    renew_order_lease,
)

__all__ = [
    "abandoned_challenges",
    "abandoned_orders",
    "begin_challenge",
    "begin_processing",
    "challenge_failed",
    "challenge_succeeded",
    "complete_order",
    "deactivate_account",
    "deactivate_authorization",
    "delete_expired_authorizations",
    "delete_expired_orders",
    "end_leases_of_the_dead",
    "fail_order",
    "find_account",
    "find_account_by_key",
    "find_authorization",
    "find_certificate_of_order",
    "find_challenge",
    "find_order",
    "find_order_of_certificate",
    "holds_authorizations",
    "insert_account",
    "insert_order",
    "lease_challenge",
    "lease_processing_order",
    "postpone_order",
    "release_challenge",
    "renew_order_lease",
    "set_contact",
    "set_key",
]
