"""SQLAlchemy Core tables, migrations and the database threads; SQLite and PostgreSQL."""
