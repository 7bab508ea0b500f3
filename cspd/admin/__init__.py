"""The admin API on a Unix socket, and cspctl."""
