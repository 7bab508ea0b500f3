"""The hash-chained audit log, and log observers."""
