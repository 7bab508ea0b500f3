"""Column types that hold our values the same way on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator

SERIAL_DIGITS = 40  # 20 octets, RFC 5280 section 4.1.2.2


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; a naive one is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores them as UTC text, which sorts."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give an aware UTC time."""
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


class SerialNumber(TypeDecorator[int]):
    """A certificate serial number: an int in Python, 40 lower-case hexadecimal digits in the table."""

    impl = String(SERIAL_DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Fixed width, so that text order is number order."""
        return None if value is None else format(value, "040x")

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Back to an int."""
        return None if value is None else int(value, 16)
