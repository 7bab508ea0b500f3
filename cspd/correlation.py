"""Which request the running code belongs to, so that every log line it causes can name it."""

from __future__ import annotations

from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
"""Set around a handler by the HTTP server; coroutines that the handler starts inherit it. Empty outside of requests."""
