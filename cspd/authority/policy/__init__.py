"""What a profile lets a request decide: names, key, extensions, validity. Pure functions that return or refuse."""
