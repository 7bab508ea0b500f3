"""Tests of :mod:`cspd.certified_keys`."""
