"""The last word of an answer, where Pipecat's own observer tells it behind the end."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from pipecat.frames.frames import (
    AggregatedTextFrame,
    AggregatedTextProgressFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi import RTVIObserver
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pydantic import BaseModel

from voxwire_protocol import rtvi

SEGMENT = 7
TEXT = "It is Paris."


class Told(RTVIObserver):
    """What an observer tells."""

    def __init__(self) -> None:
        super().__init__()
        self.output = BaseOutputTransport(TransportParams())
        self.messages: list[str] = []

    async def send_rtvi_message(self, model: BaseModel, exclude_none: bool = True) -> None:
        """Keeps it."""
        self.messages.append(model.model_dump_json(exclude_none=exclude_none))

    async def push(self, frame: Frame) -> None:
        """The output transport pushes a frame."""
        down = FrameDirection.DOWNSTREAM
        await self.on_push_frame(FramePushed(self.output, self.output, frame, down, 0))

    async def announce(self, text: str, segment: int) -> None:
        """A sentence that is about to be spoken."""
        frame = AggregatedTextFrame(text, "sentence")
        frame.id = segment
        frame.will_be_spoken = True
        await self.push(frame)

    async def word(self, word: str, done: str, rest: str, segment: int = SEGMENT) -> None:
        """One word, and how far the sentence has come with it."""
        spoken = TTSTextFrame(word, "word")
        spoken.segment_id = segment
        await self.push(spoken)
        await self.push(
            AggregatedTextProgressFrame(
                segment_id=segment,
                context_id="c",
                text=done + rest,
                text_type="sentence",
                accumulated_text=done,
                remaining_text=rest,
            )
        )


async def _spoken(told: Told) -> None:
    """Two words of three, and the end: the third is still in the clock queue of the transport."""
    await told.announce(TEXT, SEGMENT)
    await told.push(BotStartedSpeakingFrame())
    await told.word("It", "It", " is Paris.")
    await told.word("is", "It is", " Paris.")
    await told.push(BotStoppedSpeakingFrame())


def _read(messages: list[str], bot: rtvi.StockBot | None = None) -> list[dict[str, Any]]:
    """What our client makes of them."""
    bot = bot or rtvi.StockBot(new_id=lambda: "1")
    told = [env for text in messages for env in bot.read(rtvi.decode(text), media_ms=0)]
    return [MessageToDict(envelope) for envelope in told]


def _words(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    said = [one["utteranceWords"] for one in told if "utteranceWords" in one]
    return [(one["utteranceId"], one["text"]) for one in said]


async def test_pipecat_keeps_a_word_behind_the_end_for_the_next_answer() -> None:
    told = Told()
    await _spoken(told)
    before = len(told.messages)
    await told.word("Paris.", TEXT, "")
    late = [rtvi.decode(text) for text in told.messages[before:]]
    assert [message.type for message in late] == ["bot-output"]
    assert late[0].data["spoken_status"] == "completed"
    before = len(told.messages)
    await told.push(BotStartedSpeakingFrame())
    late = [rtvi.decode(text) for text in told.messages[before:]]
    assert [message.type for message in late] == ["bot-started-speaking", "bot-tts-text"]
    assert late[1].data["text"] == "Paris."


async def test_a_word_behind_the_end_is_heard_in_its_own_answer() -> None:
    told = Told()
    await _spoken(told)
    await told.word("Paris.", TEXT, "")
    await told.announce("Bye now.", 8)
    await told.push(BotStartedSpeakingFrame())
    await told.word("Bye", "Bye", " now.", 8)
    found = _read(told.messages)
    assert _words(found) == [("s1", "It"), ("s1", "is"), ("s1", "Paris."), ("s2", "Bye")]
    [end] = [one["utteranceEnded"] for one in found if "utteranceEnded" in one]
    assert (end["end"], end["heardWords"]) == ("UTTERANCE_END_COMPLETED", 3)


async def test_a_sentence_that_goes_on_behind_a_pause_keeps_its_words() -> None:
    told = Told()
    bot = rtvi.StockBot(new_id=lambda: "1")
    await told.announce("It costs $5 now.", SEGMENT)
    await told.push(BotStartedSpeakingFrame())
    await told.word("It", "It", " costs $5 now.")
    await told.push(BotStoppedSpeakingFrame())
    found = _read(told.messages, bot)
    bot.overdue(0)
    told.messages.clear()
    await told.push(BotStartedSpeakingFrame())
    await told.word("costs", "It costs", " $5 now.")
    await told.word("$5", "It costs $5", " now.")
    await told.word("now.", "It costs $5 now.", "")
    await told.push(BotStoppedSpeakingFrame())
    found += _read(told.messages, bot)
    assert _words(found) == [("s1", "It"), ("s2", "costs"), ("s2", "$5"), ("s2", "now.")]


async def test_a_sentence_that_is_announced_ahead_is_told_once() -> None:
    told = Told()
    await told.announce("One two.", SEGMENT)
    await told.push(BotStartedSpeakingFrame())
    await told.word("One", "One", " two.")
    await told.announce("Three four.", 8)
    await told.word("two.", "One two.", "")
    await told.word("Three", "Three", " four.", 8)
    await told.word("four.", "Three four.", "", 8)
    await told.push(BotStoppedSpeakingFrame())
    said = [text for _, text in _words(_read(told.messages))]
    assert said == ["One", "two.", "Three", "four."]
