"""Whatever a bot's frames hold: it is dropped and told, and the next sentence is as ever.

As ever means: spoken, its words fired, written into the model's context, and ended.
"""

import asyncio
import datetime
import decimal
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    Frame,
    LLMTextFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.utils.text.base_text_aggregator import TextType

import voxwire
from tests.support.odd_bot import Script, odd_bot
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.pipeline.voice_format import VoiceFormat
from voxwire_server.pipeline.words import OFFSET_KEY, WORD_KEY
from voxwire_server.testing import running_server

GOOD = "Still here."


async def answer(session: voxwire.Session, text: str) -> list[Any]:
    """All events from a text to the end of its answer."""
    await session.send_text(text)
    events: list[Any] = []
    spoke = False
    async for event in session:
        events.append(event)
        if isinstance(event, voxwire.StateChanged):
            spoke = spoke or event.bot == voxwire.BotState.SPEAKING
            if spoke and event.bot == voxwire.BotState.IDLE:
                return events
    raise AssertionError("the session ended")


def words(events: list[Any]) -> str:
    return " ".join(event.text for event in events if isinstance(event, voxwire.BotWord))


def errors(events: list[Any]) -> list[voxwire.ErrorEvent]:
    return [event for event in events if isinstance(event, voxwire.ErrorEvent)]


async def holds(script: Script, *, transport: str = "websocket") -> list[Any]:
    """One answer amid the odd frames, then a good one; the events of the first."""
    async with running_server(odd_bot(script)) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as session:
            first = await answer(session, "first")
            for _ in range(3):  # a machine that stands still loses sound, and short words with it
                second = await answer(session, "second")
                if words(second) == GOOD:
                    break
    assert words(second) == GOOD
    ends = [event.end for event in second if isinstance(event, voxwire.UtteranceEnded)]
    assert ends == [voxwire.UtteranceEnd.COMPLETED]
    assert errors(second) == []
    assert script.answers_kept()[-1] == GOOD
    return first


def word(text: str, **metadata: Any) -> TTSTextFrame:
    frame = TTSTextFrame(text, text_type=TextType.WORD)
    frame.metadata.update(metadata)
    return frame


class Unwritable:
    """Even its name cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


async def test_a_message_is_refused_with_its_reason_and_the_rest_goes_on(transport: str) -> None:
    def odd() -> list[Frame]:
        return [
            OutputTransportMessageFrame(message={"at": datetime.datetime(2026, 1, 1)}),
            OutputTransportMessageUrgentFrame(message={"score": math.nan}),
            OutputTransportMessageFrame(message={"text": "x" * 2_000_000}),
            OutputTransportMessageFrame(message={"good": "\ud83d"}),
        ]

    events = await holds(Script(odd=odd), transport=transport)
    told = {error.code: error.reason for error in errors(events)}
    assert set(told) == {ErrorCode.INVALID_ARGUMENT, ErrorCode.TOO_LARGE}
    assert "datetime" in next(e.reason for e in errors(events) if "datetime" in e.reason)
    assert "393216" in told[ErrorCode.TOO_LARGE]
    messages = [event.data for event in events if isinstance(event, voxwire.AppMessage)]
    assert messages == [{"good": "\ufffd"}]
    assert words(events) == GOOD


@pytest.mark.parametrize("order", ["before", "after", "none"])
async def test_a_lone_surrogate_is_one_mark_in_captions_context_and_text(order: Any) -> None:
    script = Script(answers={"first": ["Nice ", "\ud83d", " day."]}, order=order)
    events = await holds(script)
    assert words(events) == "Nice \ufffd day."
    spans = [(e.char_start, e.char_end) for e in events if isinstance(e, voxwire.BotWord)]
    assert spans == [(0, 4), (5, 6), (7, 11)]
    assert script.answers_kept()[0] == "Nice \ufffd day."
    assert errors(events) == []


@pytest.mark.parametrize("offset", [1e12, -1e12, math.nan, math.inf, None, "x"])
async def test_a_word_at_no_time_is_heard_with_the_others(offset: object) -> None:
    script = Script(odd=lambda: [word("odd", **{OFFSET_KEY: offset})])
    events = await holds(script)
    assert sorted(words(events).split()) == ["Still", "here.", "odd"]
    assert errors(events) == []


async def test_the_bot_learns_at_once_what_cannot_be_sent() -> None:
    script = Script()
    async with running_server(odd_bot(script)) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            await answer(session, "first")
            bot = script.session
            assert bot is not None
            with pytest.raises(VoxwireError, match="datetime") as refused:
                bot.send("note", {"at": datetime.datetime(2026, 1, 1)})
            assert refused.value.code is ErrorCode.INVALID_ARGUMENT
            with pytest.raises(VoxwireError) as refused:
                bot.send("note", "x" * 2_000_000)
            assert refused.value.code is ErrorCode.TOO_LARGE
            bot.send("note", "\ud83d")
            message = await session.wait_for(voxwire.AppMessage)
            assert (message.type, message.data) == ("note", "\ufffd")
            await bot.say("Good \ud83d bye.")
            ended = await session.wait_for(voxwire.UtteranceEnded)
            assert ended.heard_words == 3


any_text = st.text(st.characters(exclude_categories=()), max_size=12)
any_number = st.floats() | st.integers() | st.none() | st.sampled_from([1e12, -1e12, "1"])
any_value = st.recursive(
    st.none()
    | any_text
    | st.floats()
    | st.binary(max_size=4)
    | st.sampled_from([decimal.Decimal("1.5"), datetime.date(2026, 1, 1), Unwritable(), {1}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)


def frame_of(make: Callable[..., Frame], *parts: st.SearchStrategy[Any]) -> Any:
    return st.tuples(*parts).map(lambda given: lambda: make(*given))


odd_frames = st.one_of(
    frame_of(lambda v: OutputTransportMessageFrame(message=v), any_value),
    frame_of(lambda v: OutputTransportMessageUrgentFrame(message=v), any_value),
    frame_of(lambda t, n: word(t, **{OFFSET_KEY: n}), any_text, any_number),
    frame_of(
        lambda t, a, b: word(t, **{WORD_KEY: {"start_ms": a, "end_ms": b}}),
        any_text,
        any_number,
        any_number,
    ),
    frame_of(lambda t, v: word(t, **{WORD_KEY: v}), any_text, any_value),
    frame_of(lambda t: word(t), any_text),
    frame_of(LLMTextFrame, any_text),
    frame_of(
        lambda data, rate, channels: OutputAudioRawFrame(data, rate, channels),
        st.binary(max_size=9),
        st.sampled_from([0, -1, 7, 8000, 24000]),
        st.sampled_from([0, 1, 2, 3]),
    ),
    frame_of(
        lambda data, channels: TTSAudioRawFrame(data, 24000, channels, context_id="other"),
        st.binary(max_size=9),
        st.sampled_from([0, 1, 2]),
    ),
    frame_of(
        lambda t, n: MetricsFrame(data=[TTFBMetricsData(processor=t, value=n)]),
        any_text,
        st.floats(),
    ),
)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(odd_frames, min_size=5, max_size=20))
def test_odd_frames_of_every_kind_cost_nothing_but_themselves(
    frames: list[Callable[[], Frame]],
) -> None:
    stop = TTSStoppedFrame(context_id="other")
    asyncio.run(holds(Script(odd=lambda: [*(make() for make in frames), stop])))


async def test_a_voice_that_never_says_that_it_stopped_is_over_when_it_was_heard() -> None:
    sound = TTSAudioRawFrame(bytes(2400), 24000, 1, context_id="other")
    events = await holds(Script(odd=lambda: [sound, word("odd", **{OFFSET_KEY: 1e6})]))
    ends = [event.end for event in events if isinstance(event, voxwire.UtteranceEnded)]
    assert ends == [voxwire.UtteranceEnd.COMPLETED] * 2


async def test_an_end_of_the_voice_that_fails_is_told_and_is_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its stop was lost with it, and the bot went on speaking for three seconds."""
    whole, failed = VoiceFormat.ends, list[str]()

    def ends(self: VoiceFormat, context: str | None) -> bool:
        if not failed:
            failed.append("once")
            raise RuntimeError("no end")
        return whole(self, context)

    monkeypatch.setattr(VoiceFormat, "ends", ends)
    async with running_server(odd_bot(Script())) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            first, second = [await answer(session, "go"), await answer(session, "again")]
    assert failed
    assert [(e.code, e.subject_id[:15]) for e in errors(first)] == [
        (ErrorCode.INTERNAL, "TTSStoppedFrame")
    ]
    assert (words(first), words(second)) == (GOOD, GOOD)
    assert not errors(second)
