"""The HTTP server: plain request values in, plain response values out."""
