"""Accounts (RFC 8555, 7.3): made, found, updated, re-keyed, deactivated."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cspd.audit.events import AuditEvent, AuditLog
from cspd.clock import Clock
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import Authentication, SignedByAccount, SignedByKey
from protocols.acme.codec import decode_key_change
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType, Problem
from protocols.acme.json_text import malformed
from protocols.acme.jwk import JWK, decode_jwk, require_strong
from protocols.acme.messages import AccountUpdate, NewAccount
from protocols.acme.objects import Account
from protocols.acme.states import AccountStatus
from protocols.acme.tokens import Tokens

_DEACTIVATED = Problem(type=ErrorType.UNAUTHORIZED, detail="the account was deactivated").to_json()


class Accounts:
    """What clients may do with accounts."""

    def __init__(self, *, database: Database, clock: Clock, tokens: Tokens, audit: AuditLog) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._audit = audit

    async def create(self, directory: Directory, signed: SignedByKey, message: NewAccount) -> tuple[Account, bool]:
        """The account of the key, made now if there is none; and whether it is new (RFC 8555, 7.3 and 7.3.1).

        Raises accountDoesNotExist when only an existing one is asked for, unauthorized for a deactivated one, and
        badPublicKey for a weak key.
        """
        found = await self._database.read(_finder(directory, signed.jwk))
        if found is not None:
            return _require_valid(found), False
        if message.only_return_existing:
            raise ACMEError(ErrorType.ACCOUNT_DOES_NOT_EXIST, "no account has this key")
        require_strong(signed.jwk)
        account = Account(
            id=self._tokens.object_id(),
            directory=directory.key,
            status=AccountStatus.VALID,
            key=signed.jwk.members,
            thumbprint=signed.jwk.thumbprint,
            contact=message.contact,
            created_at=self._clock.now(),
        )

        def insert(connection: Connection) -> None:
            repository.insert_account(connection, account)
            self._append(connection, directory, account, "acme-account-created")

        try:
            await self._database.write(insert)
        except IntegrityError:  # the same key asked twice at once: both get the one account
            found = await self._database.read(_finder(directory, signed.jwk))
            if found is None:
                raise
            return _require_valid(found), False
        return account, True

    async def update(self, directory: Directory, signed: SignedByAccount, message: AccountUpdate) -> Account:
        """Change contacts, or deactivate (RFC 8555, 7.3.2 and 7.3.6); gives the account as it is now."""
        account = signed.account

        def change(connection: Connection) -> None:
            if message.deactivate and repository.deactivate_account(connection, account.id, _DEACTIVATED):
                self._append(connection, directory, account, "acme-account-deactivated")
            elif message.contact is not None:
                repository.set_contact(connection, account.id, message.contact)
                self._append(connection, directory, account, "acme-account-updated")

        if message.deactivate or message.contact is not None:
            return await self._write_and_find(directory, account, change)
        return account

    async def change_key(
        self, directory: Directory, signed: SignedByAccount, authentication: Authentication
    ) -> Account:
        """Give the account another key (RFC 8555, 7.3.5).

        Raises malformed, badPublicKey for a weak key, or 409 with the Location of the account that has the new key.
        """
        account = signed.account
        inner = authentication.inner(signed.jws)
        message = decode_key_change(inner.payload)
        new_key = inner.header.jwk
        assert new_key is not None, "Authentication.inner requires jwk"
        if message.account != signed.jws.header.kid:
            raise malformed("the account in keyChange is not the one that signed the request")
        if decode_jwk(message.old_key).thumbprint != account.thumbprint:
            raise malformed("oldKey is not the key of the account")
        require_strong(new_key)

        def change(connection: Connection) -> None:
            if holder := repository.find_account_by_key(connection, directory.key, new_key.thumbprint):
                raise _key_conflict(directory, holder)
            if not repository.set_key(
                connection, account.id, account.thumbprint, dict(new_key.members), new_key.thumbprint
            ):
                raise malformed("the account changed meanwhile")
            self._append(connection, directory, account, "acme-account-key-changed")

        try:
            return await self._write_and_find(directory, account, change)
        except IntegrityError as error:
            holder = await self._database.read(_finder(directory, new_key))
            if holder is None:
                raise
            raise _key_conflict(directory, holder) from error

    async def _write_and_find(
        self, directory: Directory, account: Account, change: Callable[[Connection], None]
    ) -> Account:
        def work(connection: Connection) -> Account:
            change(connection)
            changed = repository.find_account(connection, directory.key, account.id)
            assert changed is not None, "accounts are never deleted"
            return changed

        return await self._database.write(work)

    def _append(self, connection: Connection, directory: Directory, account: Account, event: str) -> None:
        self._audit.append(
            connection,
            AuditEvent(
                event=event,
                actor=f"acme:{directory.urls.account(account.id)}",
                fields={"directory": directory.urls.directory, "account": account.id},
            ),
        )


def _finder(directory: Directory, jwk: JWK) -> Callable[[Connection], Account | None]:
    return lambda connection: repository.find_account_by_key(connection, directory.key, jwk.thumbprint)


def _require_valid(account: Account) -> Account:
    if account.status is not AccountStatus.VALID:
        raise ACMEError(ErrorType.UNAUTHORIZED, f"the account is {account.status.value}", status=401)
    return account


def _key_conflict(directory: Directory, holder: Account) -> ACMEError:
    location = directory.urls.account(holder.id).encode("ascii")
    return ACMEError(
        ErrorType.MALFORMED, "the new key has an account already", status=409, headers=((b"location", location),)
    )
