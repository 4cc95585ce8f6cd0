"""What an operator sees and steers: figures, sessions, and what blocks the event loop."""
