"""Toys that know `voxwire_server.ports` and `voxwire.testing` only, as a new front door may."""
