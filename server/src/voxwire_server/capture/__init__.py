"""The user's audio: in order, once, and where speech ends."""
