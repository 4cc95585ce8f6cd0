"""The control channel: numbered messages, and whatever carries them."""
