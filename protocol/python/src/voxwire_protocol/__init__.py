"""Voxwire protocol."""
