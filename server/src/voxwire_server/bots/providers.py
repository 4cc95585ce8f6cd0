"""Which providers hear, think and speak for the cascade bot."""

from typing import NamedTuple

__all__ = ["HEARING", "MIND", "VOICE", "Providers"]

HEARING = "stt"
MIND = "llm"
VOICE = "tts"


class Providers(NamedTuple):
    """Names of presets, several separated by commas: where one fails, the next is asked.

    Attributes:
        stt: Who hears.
        llm: Who thinks.
        tts: Who speaks.
    """

    stt: str = ""
    llm: str = ""
    tts: str = ""
