"""What the bot says, split into what was heard and what was not yet. Pure."""

from dataclasses import dataclass
from typing import Final

from voxwire._logged import placed
from voxwire_protocol import events

__all__ = ["Caption", "Captions"]

KEPT: Final = 16


@dataclass(slots=True)
class Caption:
    """The text of one utterance and how far it was heard, in code points."""

    text: str = ""
    heard: int = 0
    over: bool = False


class Captions:
    """The captions of the last utterances, oldest first."""

    def __init__(self) -> None:
        """Creates it empty."""
        self._captions: dict[str, Caption] = {}

    @property
    def all(self) -> tuple[Caption, ...]:
        """What is there, oldest first."""
        return tuple(self._captions.values())

    def feed(self, event: events.Event) -> None:
        """Takes an event."""
        match event:
            case events.UtteranceWords():
                caption = self._captions.setdefault(event.utterance_id, Caption())
                caption.text = placed(caption.text, event.text_offset, event.text)
            case events.BotWord():
                caption = self._captions.setdefault(event.utterance_id, Caption())
                caption.heard = max(caption.heard, event.char_end)
            case events.UtteranceEnded():
                caption = self._captions.setdefault(event.utterance_id, Caption())
                caption.heard = event.heard_char_end
                caption.over = True
            case _:
                return
        while len(self._captions) > KEPT:
            del self._captions[next(iter(self._captions))]

    def text_of(self, utterance_id: str, heard: int) -> tuple[str, str]:
        """The heard and the unheard part of an utterance's text."""
        text = self._captions.get(utterance_id, Caption()).text
        return text[:heard].strip(), text[heard:].strip()
