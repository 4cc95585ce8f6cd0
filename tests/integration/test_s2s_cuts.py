"""Speech to speech, interrupted: one flush, silence, and one heard prefix for everybody."""

import asyncio
import random
import re
from dataclasses import dataclass

import numpy as np
import pytest

import voxwire
from tests.support.inside import patient
from tests.support.listening import QUIET
from tests.support.s2s import STORY, WEATHER, Line, Talk, line, talk
from tests.support.waiting import until

ROUNDS = 10
AT_ONCE = 3
SEED = 20261122
ORDER = (voxwire.Flushed, voxwire.UtteranceEnded, voxwire.Interrupted, voxwire.UtteranceStarted)
NOTE = re.compile(r'the user heard only: "(.*)"$')


@dataclass
class Cut:
    """What one barge-in came to."""

    talker: Talk
    heard: str
    true_words: int
    notes: list[str]
    late_ms: float
    """What sounds of the cut turn behind the position of its flush."""


async def barge_in(on: Line, transport: str, after_ms: float) -> Cut:
    """Ask for the story, speak into it, and wait until the next answer begins."""
    async with talk(on, transport) as talker:
        await talker.until(voxwire.BotWord)
        await talker.session.send_text(STORY)  # cuts the greeting
        await talker.until(voxwire.UtteranceEnded)
        started = await talker.until(voxwire.UtteranceStarted)
        while talker.session.position_ms < started.media_ms + after_ms:
            await asyncio.sleep(0.01)
        speaking = asyncio.create_task(talker.say(WEATHER))
        before = len(talker.events)
        await talker.until_seen(
            before,
            lambda seen: voxwire.BotWord in seen and voxwire.Flushed in seen,
        )
        await speaking
    kinds = [type(event) for event in talker.events[before:]]
    told = [kind for kind in kinds if kind in ORDER]
    assert told[:4] == list(ORDER), told
    flushed = talker.events[before + kinds.index(voxwire.Flushed)]
    answered = talker.events[before + kinds.index(voxwire.UtteranceStarted)]
    ended = talker.of(voxwire.UtteranceEnded)[-1]
    text = text_of(talker, started.utterance_id)[: ended.heard_char_end]
    rate = talker.ear.sample_rate
    gap = slice((flushed.media_ms + 1) * rate // 1000, answered.media_ms * rate // 1000)
    loud = np.flatnonzero(np.abs(talker.ear.samples[gap].astype(int)) > QUIET)
    heard_ms = ended.heard_media_ms - started.media_ms
    story = next(turn for turn in on.peer.spoken if turn.text.startswith(text[:20] or turn.text))
    true = sum(1 for word in story.words if word.start_ms < heard_ms)
    return Cut(talker, text, true, [], len(loud) * 1000 / rate)


def text_of(talker: Talk, utterance_id: str) -> str:
    """The text of an utterance as it was told, with its revisions."""
    text = ""
    for event in talker.of(voxwire.UtteranceWords):
        if event.utterance_id == utterance_id:
            text = text[: event.text_offset].ljust(event.text_offset) + event.text
    return text


def notes_of(on: Line) -> list[str]:
    """What the API was told that the user heard."""
    sent = [
        part["text"]
        for record in on.peer.received
        for content in record.client_contents
        for turn in content.get("turns", ())
        for part in turn.get("parts", ())
    ]
    return [match.group(1) for text in sent if (match := NOTE.search(text))]


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_ten_barge_ins_leave_the_heard_words_and_silence(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our ears and Gemini's both hear the user; half the rounds go over each transport."""
    rng = random.Random(f"{SEED}{transport}")
    async with asyncio.timeout(200), line(monkeypatch) as on:
        gate = asyncio.Semaphore(AT_ONCE)

        async def cut() -> Cut:
            async with gate:
                return await barge_in(on, transport, rng.uniform(300, 3500))

        with patient():
            cuts = await asyncio.gather(*(cut() for _ in range(ROUNDS // 2)))
        await until(lambda: len(notes_of(on)) >= len(cuts))
        notes = notes_of(on)
        logs = [on.answers(number) for number in range(len(on.contexts))]
    for cut in cuts:
        flushes = cut.talker.of(voxwire.Flushed)
        interruptions = cut.talker.of(voxwire.Interrupted)
        assert len(flushes) == len(interruptions) == 2, "one for the greeting, one for the story"
        assert abs(len(cut.heard.split()) - cut.true_words) <= 1, cut.heard
        assert cut.heard in notes, "what the API is told of the turn"
        assert any(cut.heard in said for said in logs), (cut.heard, logs)
        next_text = text_of(cut.talker, cut.talker.of(voxwire.UtteranceStarted)[-1].utterance_id)
        assert next_text[:3] not in ("", cut.heard[:3]), "the cut turn does not go on"
    assert [cut.late_ms for cut in cuts] == [0] * len(cuts)
