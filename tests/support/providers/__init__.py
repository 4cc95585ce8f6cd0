"""Servers on loopback that speak as the providers of voices, ears and minds do, and fail as they do."""
