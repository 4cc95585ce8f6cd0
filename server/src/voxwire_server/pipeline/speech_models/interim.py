"""What was recognised so far of what the user says to a speech-to-speech model. Pure."""

from pipecat.frames.frames import InterimTranscriptionFrame

__all__ = ["InterimText"]


class InterimText:
    """Puts together the pieces of services that push only what is new (OpenAI, xAI, Inworld)."""

    def __init__(self) -> None:
        """Starts with nothing said."""
        self._item = ""
        self._text = ""

    def of(self, frame: InterimTranscriptionFrame) -> str:
        """All of the sentence so far."""
        item = str(getattr(frame.result, "item_id", ""))
        if not item:
            return frame.text
        if item != self._item:
            self._item, self._text = item, ""
        self._text += frame.text
        return self._text
