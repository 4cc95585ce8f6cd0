"""Silero VAD, one model for all sessions."""
