"""One package for each wire protocol, all of the same shape."""
