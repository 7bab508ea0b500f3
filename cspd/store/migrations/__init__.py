"""The schema's history: Alembic's environment, and one module below ``versions`` for each step."""
