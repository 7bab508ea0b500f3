"""The Time-Stamp Protocol of a timestamping authority (RFC 3161, RFC 5816, ETSI EN 319 422)."""
