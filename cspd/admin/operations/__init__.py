"""The operations of the admin API, a module for each group."""
