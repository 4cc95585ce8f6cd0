"""What happens in a session as its bot is told: what a client is, and words when they are heard.

Pure. A client fires words itself, by its own speaker (protocol/spec/words.md); here the server's
knowledge of the listener's ear takes that speaker's place.
"""

from voxwire_protocol import events, wire
from voxwire_protocol.event_codec import from_envelope, word_event
from voxwire_protocol.timeline import Timeline, decode_words

__all__ = ["BotEvents"]


class BotEvents:
    """Turns what a session tells its client into events for its bot."""

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._sources: dict[str, wire.TimingSource.ValueType] = {}

    def take(self, envelope: wire.Envelope) -> tuple[list[events.Event], list[int]]:
        """The client is told something.

        Returns:
            What the bot is told of it now, and where on the media clock words begin of which it is
            told when they are heard, ms.
        """
        told: list[events.Event] = []
        onsets: list[int] = []
        match envelope.WhichOneof("payload"):
            case "utterance_started":
                started = envelope.utterance_started
                self._sources[started.utterance_id] = started.source
                self._timeline.begin(started.utterance_id, started.media_ms)
            case "utterance_words":
                onsets = self._add(envelope.utterance_words)
            case "utterance_ended":
                told = self._end(envelope.utterance_ended)
            case _:
                pass
        event = from_envelope(envelope)
        return (told if event is None else [*told, event]), onsets

    def heard(self, media_ms: int) -> list[events.Event]:
        """The words that are due when the listener has heard so far; each comes once, in order."""
        return [word_event(word) for word in self._timeline.advance(media_ms)]

    def _add(self, message: wire.UtteranceWords) -> list[int]:
        name = message.utterance_id
        unsaid = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        text, source = self._timeline.text(name), self._sources.get(name, unsaid)
        words = decode_words(message, text, source=source)
        self._timeline.set_text(name, message.text_offset, message.text)
        self._timeline.add(words, message.revision)
        return [word.start_ms for word in words]

    def _end(self, message: wire.UtteranceEnded) -> list[events.Event]:
        """Words that were heard and not told yet; those behind them never come."""
        name = message.utterance_id
        words = self._timeline.words(name)
        is_complete = message.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        num_heard = len(words) if is_complete else message.heard_words
        rest = words[self._timeline.delivered(name) : num_heard]
        self._timeline.skip(name, words=len(words))
        self._timeline.end(name)
        self._sources.pop(name, None)
        return [word_event(word) for word in rest]
