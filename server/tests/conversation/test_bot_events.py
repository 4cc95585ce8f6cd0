"""What a bot is told of its session: as a client is, with words when they are heard."""

from voxwire_protocol import events, wire
from voxwire_protocol.timeline import TimedWord, encode_words
from voxwire_server.conversation.bot_events import BotEvents

COMPLETED = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
INTERRUPTED = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
ESTIMATED = wire.TimingSource.TIMING_SOURCE_ESTIMATED
TEXT = "one two three"
STARTS = {"one": 1000, "two": 1200, "three": 1400}


def spoken(told: BotEvents, *, revision: int = 0, later_ms: int = 0) -> list[int]:
    """The words of an utterance are known; where they begin."""
    words = [
        TimedWord(
            utterance_id="u1",
            index=index,
            text=text,
            char_start=TEXT.index(text),
            char_end=TEXT.index(text) + len(text),
            start_ms=at + later_ms,
            end_ms=at + later_ms + 200,
            end_estimated=False,
            source=ESTIMATED,
        )
        for index, (text, at) in enumerate(STARTS.items())
    ]
    message = encode_words(words, TEXT, revision=revision)
    now, onsets = told.take(wire.Envelope(utterance_words=message))
    assert [type(event) for event in now] == [events.UtteranceWords]
    return onsets


def begun() -> BotEvents:
    told = BotEvents()
    started = wire.UtteranceStarted(utterance_id="u1", media_ms=1000, source=ESTIMATED)
    [event], _ = told.take(wire.Envelope(utterance_started=started))
    assert isinstance(event, events.UtteranceStarted)
    return told


def ended(told: BotEvents, how: wire.UtteranceEnd, num_heard: int = 0) -> list[str]:
    """Names of the events of an end; of words what they are."""
    message = wire.UtteranceEnded(utterance_id="u1", end=how, heard_words=num_heard)
    now, _ = told.take(wire.Envelope(utterance_ended=message))
    return [event.text if isinstance(event, events.BotWord) else "over" for event in now]


def texts(now: list[events.Event]) -> list[str]:
    assert all(isinstance(event, events.BotWord) for event in now)
    return [event.text for event in now if isinstance(event, events.BotWord)]


def test_a_word_comes_once_when_it_is_heard() -> None:
    told = begun()
    assert spoken(told) == [1000, 1200, 1400]
    assert told.heard(999) == []
    assert told.heard(1000) == [
        events.BotWord("u1", 0, "one", 0, 3, 1000, 1200, events.TimingSource.ESTIMATED)
    ]
    assert told.heard(1000) == []
    assert texts(told.heard(5000)) == ["two", "three"]
    assert ended(told, COMPLETED) == ["over"]


def test_at_its_end_what_was_heard_comes_first_and_what_was_cut_never() -> None:
    told = begun()
    spoken(told)
    assert texts(told.heard(1000)) == ["one"]
    assert ended(told, INTERRUPTED, 2) == ["two", "over"]
    assert told.heard(5000) == []
    told = begun()
    spoken(told)
    assert ended(told, COMPLETED) == ["one", "two", "three", "over"]
    told = begun()
    spoken(told)
    told.heard(1200)
    assert ended(told, INTERRUPTED, 1) == ["over"]  # it was believed to be heard


def test_a_word_whose_place_is_another_now_comes_there() -> None:
    told = begun()
    spoken(told)
    told.heard(1000)
    assert spoken(told, revision=1, later_ms=300) == [1300, 1500, 1700]
    assert told.heard(1200) == []
    assert texts(told.heard(1500)) == ["two"]


def test_whatever_else_a_client_is_told_comes_at_once() -> None:
    told = BotEvents()
    said = wire.Transcript(text="hello", final=True, turn_id="t1")
    [event], onsets = told.take(wire.Envelope(transcript=said))
    assert isinstance(event, events.UserTranscript)
    assert (event.text, event.final, onsets) == ("hello", True, [])
    assert told.take(wire.Envelope(ping=wire.Ping())) == ([], [])
    assert ended(told, INTERRUPTED, 3) == ["over"]  # of an utterance from before
