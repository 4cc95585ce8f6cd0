"""What is said and asked: states, turns, texts, requests."""
