"""The PKIX repository: CRLs and CA certificates over plain HTTP (RFC 5280, 4.2.1.13 and 4.2.2.1)."""
