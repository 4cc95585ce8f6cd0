"""Sessions: one user-bot conversation each, owned by one task."""
