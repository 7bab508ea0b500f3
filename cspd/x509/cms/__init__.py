"""Cryptographic Message Syntax (RFC 5652): certificates, signed and enveloped content; bytes in, values out.

Writes DER. Reads BER as well, which CMS allows and devices send; size, depth and structure are checked all the same.
"""
