"""Directories that know users, machines, groups and certificate templates, and what their attributes say."""
