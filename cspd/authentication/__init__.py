"""Who a client of an enrollment protocol is: passwords, enrollment secrets, certificates."""
