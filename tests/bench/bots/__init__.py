"""Bots that our server runs in a bench; each file is what `voxwire-server run` takes."""
