"""The ways to prove control of an identifier (RFC 8555, 8); one module for each type."""
