"""Speech to speech: estimated words that lie on their sound and fire with it."""

import asyncio

import numpy as np
import pytest

import voxwire
from tests.support.s2s import RESTAURANT, WEATHER, Line, Talk, line, talk


def errors_ms(talker: Talk, line: Line) -> list[float]:
    """How far the fired words of each utterance are from its true times, checked for order."""
    errors: list[float] = []
    turns = {turn.text: turn for turn in line.peer.spoken}
    for started in talker.of(voxwire.UtteranceStarted):
        fired = [w for w in talker.of(voxwire.BotWord) if w.utterance_id == started.utterance_id]
        turn = turns[" ".join(word.text for word in fired)]
        assert [word.index for word in fired] == list(range(len(fired)))
        starts = [word.start_ms for word in fired]
        assert starts == sorted(starts)
        errors += [
            abs(word.start_ms - started.media_ms - true.start_ms)
            for word, true in zip(fired, turn.words, strict=True)
        ]
    return errors


async def converse(line: Line, transport: str) -> Talk:
    """Hear the greeting, then ask two questions that need a tool."""
    async with talk(line, transport) as talker:
        await talker.answer()
        for question in (WEATHER, RESTAURANT):
            await talker.say(question)
            await talker.answer()
        await talker.until(voxwire.StateChanged, bot=voxwire.BotState.IDLE)
    return talker


@pytest.mark.timing(reason="words of a speech-to-speech model fire while they sound")
async def test_words_of_spoken_answers_lie_on_their_sound_and_fire_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both transports at once, with a tool call in every answer and transcripts of both sides."""
    async with asyncio.timeout(60), line(monkeypatch) as on:
        talks = await asyncio.gather(converse(on, "websocket"), converse(on, "webrtc"))
        contexts = [on.answers(number) for number in range(2)]
        heard = sorted(on.peer.heard)
    texts = sorted(text for said in contexts for text in said)
    assert texts == sorted(turn.text for turn in on.peer.spoken)
    finals = [e.text for t in talks for e in t.of(voxwire.UserTranscript) if e.final]
    assert sorted(finals) == heard and len(finals) == 4
    for name, talker in zip(("websocket", "webrtc"), talks, strict=True):
        calls = [call.name for call in talker.of(voxwire.ToolCallStarted)]
        assert calls == ["get_weather", "find_restaurant"]
        words = talker.of(voxwire.BotWord)
        assert {word.source for word in words} == {voxwire.TimingSource.ESTIMATED}
        said = "".join(e.text for e in talker.of(voxwire.BotResponseText))
        assert said.replace(" ", "") == "".join(word.text for word in words)
        errors = errors_ms(talker, on)
        late = [
            at - event.start_ms
            for event, at in zip(talker.events, talker.positions, strict=True)
            if isinstance(event, voxwire.BotWord)
        ]
        print(
            f"{name}: {len(errors)} words, error p50 {np.median(errors):.0f} ms, "
            f"p95 {np.percentile(errors, 95):.0f} ms; fired p50 {np.median(late):.0f} ms, "
            f"p95 {np.percentile(late, 95):.0f} ms behind their start"
        )
        assert np.percentile(errors, 95) <= 150
        assert min(late) >= -45 and np.median(late) <= 45
