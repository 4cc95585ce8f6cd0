"""The telephone: how each vendor writes a call on a WebSocket, and how it signs it. Pure."""
