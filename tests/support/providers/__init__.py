"""Servers on loopback that speak, and fail, as the providers of ears, minds and voices do."""
