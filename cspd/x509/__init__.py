"""Pure functions on names, keys, extensions and requests: bytes in, values out; imports nothing of ours."""
