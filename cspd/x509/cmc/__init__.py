"""Certificate Management over CMS (RFC 5272 and 6402): what is inside the signed content; bytes in, values out."""
