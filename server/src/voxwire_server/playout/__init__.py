"""The bot's voice on the media clock: placed, sent, heard, cut."""
