"""Alembic's environment: the connection, its transaction and its lock come from :mod:`cspd.store.schema`."""

from alembic import context

from cspd.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=context.config.attributes["connection"].dialect.name == "sqlite",
)
context.run_migrations()
