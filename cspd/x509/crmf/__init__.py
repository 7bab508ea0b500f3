"""Certificate Request Message Format (RFC 4211, as RFC 9810 amends it): bytes in, values out; CMP and CMC carry it."""
