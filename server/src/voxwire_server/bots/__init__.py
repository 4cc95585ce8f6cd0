"""Bots that ship with the server."""
