"""The bot's own voice: every word has its place in the sound, and the first clause comes alone."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from voxwire_server.bots.offline import extras, tts, voice_model
from voxwire_server.bots.offline.phrases import speak_pcm
from voxwire_server.bots.offline.voice import SAMPLE_RATE, PcmPiece, VoiceClient, shared_voice
from voxwire_server.bots.offline.voice_model import Spoken
from voxwire_server.bots.offline.voice_worker import Sayings
from voxwire_server.bots.offline.word_spans import WordSpan

LONG = "In Paris it is sunny today, with a high of 21 degrees and a low of 13."
OFFLINE = """
import socket

def refuse(*_, **__):
    raise AssertionError("the network was asked")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy as np
"""


async def collect(client: VoiceClient, text: str, **options) -> tuple[list[bytes], list[WordSpan]]:
    pieces, words = [], []
    async for piece in client.synthesize(text, **options):
        if isinstance(piece, PcmPiece):
            pieces.append(piece.pcm)
        else:
            words.append(piece)
    return pieces, words


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny in Paris today.",
        "I am of the opinion — that $25 (or 3.14) well-known things, e.g. cafés, “work”.",
        "— hello — 你好 ok 🎉 done",
        "It is 7:30 PM, Dr. Smith.",
        "At 10:30, one,two three.Four",
        "...",
        "   ",
        "",
    ],
)
async def test_every_token_has_a_span_inside_the_audio(bot_voice, text):
    pieces, words = await collect(bot_voice, text)
    assert [word.text for word in words] == text.split()
    at = 0
    for word in words:
        assert text[word.char_start : word.char_end] == word.text
        assert at <= word.start_sample <= word.end_sample <= sum(map(len, pieces)) // 2
        at = word.end_sample


@pytest.mark.parametrize(
    "text",
    [
        "Stop, please, stop.",
        "Monday, Tuesday, Friday.",
        "One, two, three, four.",
        "Hello! Please stop. Thank you.",
        "Monday; Tuesday; Friday.",
    ],
)
async def test_words_lie_where_the_sound_is(bot_voice, text):
    """What is between two words is a pause; a processor's own arithmetic moves some of them."""
    pieces, words = await collect(bot_voice, text)
    loud = np.abs(np.frombuffer(b"".join(pieces), np.int16).astype(np.int32))
    for word in words:
        assert loud[word.start_sample : word.end_sample].max() > 3000
    pauses = [loud[a.end_sample : b.start_sample] for a, b in itertools.pairwise(words)]
    assert any(pause.size > SAMPLE_RATE // 50 for pause in pauses)
    for pause in filter(len, pauses):
        assert np.median(pause) < 100


async def test_it_begins_to_sound_at_once_and_ends_soon_after_its_last_word(bot_voice):
    for text in ("Let me check.", LONG):
        pieces, words = await collect(bot_voice, text)
        samples = np.abs(np.frombuffer(b"".join(pieces), np.int16).astype(np.int32))
        above = np.flatnonzero(samples > samples.max() * 0.05)
        assert above[0] < SAMPLE_RATE * 0.06
        assert len(samples) - above[-1] < SAMPLE_RATE * 0.2
        assert words[0].start_sample < SAMPLE_RATE * 0.05


async def test_the_first_clause_of_a_long_sentence_comes_alone(bot_voice):
    pieces, words = await collect(bot_voice, LONG)
    assert len(pieces) == 2
    [today] = [word for word in words if word.text == "today,"]
    assert today.end_sample <= len(pieces[0]) // 2 <= today.end_sample + SAMPLE_RATE // 10


async def test_the_same_text_is_the_same_sound_and_a_speed_shortens_it(bot_voice):
    first, _ = await collect(bot_voice, "It is nine.")
    again, _ = await collect(bot_voice, "It is nine.")
    fast, _ = await collect(bot_voice, "It is nine.", speed=1.5)
    assert first == again
    assert len(fast[0]) < 0.8 * len(first[0])


def test_what_was_said_before_is_not_made_again_while_it_is_kept():
    made: list[tuple[str, float]] = []

    def speak(text: str, speed: float) -> Spoken:
        made.append((text, speed))
        return Spoken(np.zeros(100, np.int16), [])

    sayings = Sayings(speak, 250)
    first = sayings.of("a", 1.0)
    sayings.of("b", 1.0)
    assert sayings.of("a", 1.0) is first and len(made) == 2
    sayings.of("a", 1.5)  # another speed is another sound; "b" was said longest ago
    assert sayings.of("a", 1.0) is first and len(made) == 3
    sayings.of("b", 1.0)
    assert made == [("a", 1.0), ("b", 1.0), ("a", 1.5), ("b", 1.0)]


async def test_what_cannot_be_spoken_is_refused(bot_voice):
    with pytest.raises(ValueError, match="exceeds 5000"):
        await collect(bot_voice, "a" * 5001)
    with pytest.raises(ValueError, match="speed must be"):
        await collect(bot_voice, "a", speed=3)


@pytest.mark.parametrize(
    "text",
    ["7" * 400, "1234567 " * 40, "WWW " * 65, "$98,765.43 " * 30, "W" * 5000],
    ids=lambda text: text[:5],
)
async def test_numbers_that_take_very_long_to_say_are_said(bot_voice, text):
    """A phoneme list beyond what the model takes at once is given to it in parts."""
    pieces, words = await collect(bot_voice, text)
    num_samples = sum(map(len, pieces)) // 2
    assert [word.text for word in words] == text.split()
    assert words[-1].end_sample <= num_samples
    assert num_samples > 10 * SAMPLE_RATE


async def test_a_loop_has_one_voice(bot_voice):
    assert shared_voice() is bot_voice


async def test_a_text_is_spoken_at_any_rate(bot_voice):
    at_16, at_48 = [await speak_pcm("what time is it", sample_rate=rate) for rate in (16000, 48000)]
    assert abs(3 * len(at_16) - len(at_48)) < 100


async def test_a_missing_extra_names_the_command(bot_voice, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'voxwire-server\[offline\]'"):
        await collect(bot_voice, "hello")


def test_a_model_that_shows_no_durations_leaves_the_times_to_the_pipeline(monkeypatch):
    monkeypatch.setattr(voice_model, "has_durations", lambda: False)
    spoken = voice_model.VoiceModel().speak("It is nine.")
    assert spoken.words == [] and len(spoken.samples) > SAMPLE_RATE // 2
    monkeypatch.setattr(tts, "has_durations", lambda: False)
    assert tts.HibariTTSService()._push_text_frames


@pytest.mark.parametrize(
    "use",
    [
        "from voxwire_server.bots.offline.voice_model import VoiceModel\n"
        "assert len(VoiceModel().speak('It is nine, Zbigniew.').samples)",
        "from voxwire_server.bots.offline.whisper import Whisper\n"
        "Whisper('Paris.').hear(np.zeros(16000, np.float32))",
    ],
    ids=["voice", "ears"],
)
def test_a_model_loads_and_works_without_a_network(use):
    subprocess.run([sys.executable, "-c", OFFLINE + use], check=True, timeout=60)
