"""A conversation as its user has it, for tests of bots and of apps: the fixture `voice_session`."""

from voxwire.testing.voice.session import AsyncVoiceSession
from voxwire.testing.voice.waiting import VoiceSession

__all__ = ["AsyncVoiceSession", "VoiceSession"]
