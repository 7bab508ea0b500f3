"""ACME (RFC 8555)."""
