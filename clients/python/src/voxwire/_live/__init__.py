"""Live audio: the devices of this machine as a session's microphone and speaker."""
