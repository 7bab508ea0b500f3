"""Requests to other people's HTTP servers: TLS that is verified, limits, and the proxy of conf."""
