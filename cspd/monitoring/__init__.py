"""How the server is, and what it did: health and metrics of the core and of the protocols that are active."""
