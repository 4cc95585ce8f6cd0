"""The far end of a telephone call: vendors, a network, a telephone. For tests and demonstrations.

It is written from the vendors' pages and from nothing of the server, which is held against it.
"""
