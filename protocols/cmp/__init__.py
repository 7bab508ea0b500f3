"""Certificate Management Protocol (RFC 9810; algorithms of RFC 9481; lightweight profile of RFC 9483)."""
