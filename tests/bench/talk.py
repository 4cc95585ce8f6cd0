"""A conversation as a process: `python -m tests.bench.talk turns|words --client C --port N`.

Prints one JSON line with what was measured, in milliseconds.
"""

import argparse
import asyncio
import json
import random
import sys
from typing import Any

import numpy as np

import voxwire
from tests.bench.sounds import Samples, spoken_s
from tests.bench.talkers import Talker, VoxwireTalker, stock_talker, voxwire_talker
from tests.support.espeak import Voice, random_voice, render_pcm, shared_espeak
from voxwire_server.bots.offline.phrases import random_phrases

SEED = 20261122
SHORT = ("get_name", "thanks", "time")
CUT_MIN_S = 1.0  # shorter, and its answer could sound while the cut is still looked for
WORDS = 24
SILENCE_S = 0.1


async def clips(count: int) -> list[tuple[Samples, Samples]]:
    """Pairs of clips in random voices: one that makes the bot talk at length, one to cut it."""
    stories = random_phrases(SEED, count, intents=("story",))
    questions = iter(random_phrases(SEED + 1, 20 * count, intents=SHORT))
    out: list[tuple[Samples, Samples]] = []
    for number, story in enumerate(stories):
        voice = random_voice(SEED + number)
        question = await speak(next(questions).text, voice)
        while spoken_s(question) < CUT_MIN_S:
            question = await speak(next(questions).text, voice)
        out.append((await speak(story.text, voice), question))
    await shared_espeak().aclose()
    return out


async def speak(text: str, voice: Voice) -> Samples:
    """A clip."""
    pcm, _ = await render_pcm(text, voice=voice.voice, rate=voice.rate)
    return np.frombuffer(pcm, np.int16)


class Turns:
    """C3 and C4 in one: ask for a story, cut it with a question, hear the answer; over again."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker
        self._rng = random.Random(SEED)
        self.answer_ms: list[float] = []
        self.cut_ms: list[float] = []
        self.flush_ms: list[float] = []
        self.split = self.unanswered = self.uncut = 0

    async def run(self, pairs: list[tuple[Samples, Samples]]) -> None:
        """Holds the conversation."""
        await self._talker.sound_after(0.0)  # the greeting
        await self._talker.hush()
        for story, question in pairs:
            await asyncio.sleep(self._rng.uniform(0.3, 0.5))
            await self._say(story)
            if await self._answered():
                await asyncio.sleep(self._rng.uniform(1.0, 2.5))
                await self._say(question)
                await self._answered()
                self._cut()
            await self._talker.hush()

    async def _say(self, clip: Samples) -> None:
        self._talker.mouth.say(clip)
        while self._talker.mouth.started_s is None:
            await asyncio.sleep(0.005)

    def _cut(self) -> None:
        """The bot sounded and the user spoke: when did it fall silent?"""
        talker, mouth = self._talker, self._talker.mouth
        assert mouth.started_s is not None and mouth.stopped_s is not None
        last_s = talker.heard.last(mouth.started_s, mouth.stopped_s) or mouth.started_s
        flushed_s = talker.first_event(voxwire.Flushed, mouth.started_s)
        unflushed = flushed_s is None and isinstance(talker, VoxwireTalker)
        if unflushed or mouth.stopped_s - last_s < SILENCE_S:
            self.uncut += 1
        else:
            # a cut in a pause of the story: silent for certain once it was flushed
            silent_s = max(last_s, flushed_s or last_s)
            self.cut_ms.append((silent_s - mouth.started_s) * 1000)
            if flushed_s is not None:
                self.flush_ms.append((silent_s - flushed_s) * 1000)

    async def _answered(self) -> bool:
        """The user's clip runs: when is its answer heard?"""
        talker, mouth = self._talker, self._talker.mouth
        started_s = mouth.started_s
        assert started_s is not None
        while mouth.stopped_s is None:
            await asyncio.sleep(0.005)
        sound_s = await talker.sound_after(mouth.stopped_s)
        starts = [
            event
            for at, event in talker.events
            if at >= started_s
            and isinstance(event, voxwire.StateChanged)
            and event.bot == voxwire.BotState.THINKING
            and (sound_s is None or at <= sound_s)
        ]
        self.split += len(starts) > 1
        if sound_s is None:
            self.unanswered += 1
            return False
        self.answer_ms.append((sound_s - mouth.stopped_s) * 1000)
        return True


async def turns(options: argparse.Namespace) -> dict[str, Any]:
    """C3 and C4."""
    pairs = await clips(options.rounds)
    opened = (
        stock_talker(options.port)
        if options.client == "stock"
        else voxwire_talker(options.port, options.client)
    )
    async with opened as talker:
        measured = Turns(talker)
        await measured.run(pairs)
    return {
        "answer_ms": measured.answer_ms,
        "cut_ms": measured.cut_ms,
        "flush_ms": measured.flush_ms,
        "split": measured.split,
        "unanswered": measured.unanswered,
        "uncut": measured.uncut,
    }


async def words(options: argparse.Namespace) -> dict[str, Any]:
    """C5: the moment at which each word fires, and the click that stands at its start."""
    errors: list[float] = []
    lost = 0
    for _ in range(options.rounds):
        async with voxwire_talker(options.port, options.client) as talker:
            await talker.session.send_text(f"say {WORDS}")
            await talker.sound_after(0.0)
            await talker.quiet()
            fired = [at for at, event in talker.events if isinstance(event, voxwire.BotWord)]
            onsets = talker.heard.clicks()
            lost += abs(WORDS - len(fired)) + abs(WORDS - len(onsets))
            if len(fired) == len(onsets):
                errors += [(f - o) * 1000 for f, o in zip(fired, onsets, strict=True)]
    return {"error_ms": errors, "lost": lost}


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["turns", "words"])
    parser.add_argument("--client", choices=["websocket", "webrtc", "stock"], required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    result = asyncio.run((turns if options.what == "turns" else words)(options))
    print(json.dumps({"event": "result", **result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
