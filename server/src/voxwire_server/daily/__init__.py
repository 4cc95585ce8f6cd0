"""Daily's REST interface, and the rooms that sessions get of it."""
