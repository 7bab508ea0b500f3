"""Steps of the schema, in the order that their ``down_revision`` tells; a released step never changes."""
