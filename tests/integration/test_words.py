"""Words: placed where they sound, fired when they sound, on both transports."""

import asyncio

import numpy as np
import pytest

import voxwire
from tests.support.clicks import ClickTTS, ForetoldClickTTS, PlainTTS, make_bot
from tests.support.clients import WITH_OPUS, connect
from tests.support.listening import Ear, click_onsets_ms
from voxwire_server.testing import running_server

pytestmark = pytest.mark.parametrize("transport", WITH_OPUS)


async def converse(url: str, transport: str, text: str) -> tuple[list[voxwire.BotWord], Ear]:
    """Send a text, listen to the whole answer; the words as they fired."""
    ear = Ear()
    words: list[voxwire.BotWord] = []
    spoke = False
    async with asyncio.timeout(60):
        async with connect(url, speaker=ear, transport=transport) as session:
            await session.send_text(text)
            async for event in session:
                if isinstance(event, voxwire.BotWord):
                    words.append(event)
                elif isinstance(event, voxwire.StateChanged):
                    spoke = spoke or event.bot == voxwire.BotState.SPEAKING
                    if spoke and event.bot == voxwire.BotState.IDLE:
                        break
    return words, ear


@pytest.mark.parametrize("text", ["say 24", "twice 8"])
async def test_a_click_at_every_declared_start_is_where_the_word_says(
    transport: str, text: str
) -> None:
    """``twice`` queues a second context behind the first, where stock Pipecat is 540 ms early."""
    async with running_server(make_bot()) as server:
        words, ear = await converse(server.url, transport, text)
    onsets = click_onsets_ms(ear.samples, ear.sample_rate)
    count = 24 if text == "say 24" else 16
    assert len(words) == len(onsets) == count
    errors = np.abs(np.array([w.start_ms for w in words]) - np.array(onsets))
    print(
        f"{transport}: placing error p50 {np.median(errors):.1f} ms, "
        f"p95 {np.percentile(errors, 95):.1f} ms"
    )
    assert np.median(errors) <= 20
    assert np.percentile(errors, 95) <= 45


@pytest.mark.parametrize("voice", [ClickTTS, ForetoldClickTTS])
async def test_words_come_once_in_order_and_do_not_overlap(
    transport: str, voice: type[ClickTTS]
) -> None:
    """The first word of what queues behind, foretold, was taken for text that nobody speaks."""
    async with running_server(make_bot(tts=voice)) as server:
        words, _ = await converse(server.url, transport, "twice 6")
    assert [w.text for w in words] == [
        *(f"w{i}" for i in range(5)),
        "w5.",
        *(f"w{i}" for i in range(6, 11)),
        "w11.",
    ]
    assert [(w.utterance_id, w.index) for w in words] == [
        (u, i) for u in dict.fromkeys(w.utterance_id for w in words) for i in range(6)
    ]
    for before, after in zip(words, words[1:], strict=False):
        assert before.start_ms < before.end_ms <= after.start_ms


async def test_a_voice_without_word_times_gets_estimated_words_inside_its_sound(
    transport: str,
) -> None:
    async with running_server(make_bot(tts=PlainTTS)) as server:
        words, ear = await converse(server.url, transport, "say 8")
    assert len(words) == 8
    assert {w.source for w in words} == {voxwire.TimingSource.ESTIMATED}
    loud = np.flatnonzero(np.abs(ear.samples.astype(int)) > 1000) * 1000 / ear.sample_rate
    assert abs(words[0].start_ms - loud[0]) <= 40
    assert abs(words[-1].end_ms - loud[-1]) <= 60
