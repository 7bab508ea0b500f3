"""Scheduled jobs, each run once over all nodes by a lease in the store."""
