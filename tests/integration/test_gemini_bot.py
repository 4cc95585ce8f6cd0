"""The gemini bot on the local peer: the real server and `voxwire talk`, each in a process."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest_asyncio

from tests.conftest import TRANSPORTS
from tests.support.espeak import render_wav, shared_espeak
from tests.support.gemini_live_peer import GeminiPeer, SpokenTurn, running_peer
from tests.support.talked import Talk, talk

QUESTION = "what is the weather in paris tomorrow"
ASKED = "What is the weather in paris tomorrow?"
ONSET_P95_MS = 150
"""How far an estimated onset may be from the true one."""


@dataclass
class Line:
    """The peer, and a server whose bot talks to it."""

    peer: GeminiPeer
    url: str


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    async with running_peer(rate=200) as peer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voxwire_server.cli", "run", "gemini", "--port", "0"),
            env={**os.environ, **peer.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                first = (await process.stdout.readline()).decode()
            address = re.search(r"Bot 'gemini' listens on (ws://\S+)", first)
            assert address is not None, first
            yield Line(peer, address[1])
        finally:
            process.terminate()
            async with asyncio.timeout(60):
                await process.wait()


def onsets_off(name: str, run: Talk, spoken: Sequence[SpokenTurn]) -> list[int]:
    """How far every word's onset is from the true one, ms; each fired once and in order."""
    started = run.of("utterance_started")
    assert [row["source"] for row in started] == ["estimated"] * len(spoken)
    off: list[int] = []
    overlap_ms = 0
    for utterance, turn in zip(started, spoken, strict=True):
        here = [r for r in run.of("bot_word") if r["utterance_id"] == utterance["utterance_id"]]
        assert " ".join(row["text"] for row in here) == turn.text
        assert [row["index"] for row in here] == list(range(len(here)))
        placed = last_placed(run, utterance["utterance_id"])
        for words in (here, placed):
            for first, second in pairwise(words):
                assert first["start_ms"] <= second["start_ms"], (first, second)
        assert all(first["t_ms"] <= second["t_ms"] for first, second in pairwise(here))
        overlap_ms = max(overlap_ms, *(a["end_ms"] - b["start_ms"] for a, b in pairwise(placed)))
        off += [
            abs(row["start_ms"] - utterance["media_ms"] - word.start_ms)
            for row, word in zip(here, turn.words, strict=True)
        ]
    print(
        f"{name}: {len(off)} words, onset off by p50 {np.percentile(off, 50):.0f}"
        f" p95 {np.percentile(off, 95):.0f} max {max(off)} ms;"
        f" spans overlap by {overlap_ms} ms at most"
    )
    assert overlap_ms <= 0
    return off


def last_placed(run: Talk, utterance_id: str) -> list[dict[str, Any]]:
    """The words of an utterance as they were told last: a revision replaces by index."""
    placed: dict[int, dict[str, Any]] = {}
    for row in run.of("utterance_words"):
        if row["utterance_id"] == utterance_id:
            placed |= {word["index"]: word for word in row["words"]}
    return [placed[index] for index in sorted(placed)]


async def test_a_spoken_question_is_answered_aloud_through_a_tool(
    line: Line, tmp_path: Path
) -> None:
    try:
        await render_wav(tmp_path / "q.wav", QUESTION)
    finally:
        await shared_espeak().aclose()

    async def one(transport: str) -> Talk:
        return await talk(
            line.url,
            *("--transport", transport, "--in", tmp_path / "q.wav"),
            events=tmp_path / f"{transport}.jsonl",
        )

    off: list[int] = []
    for name, run in zip(TRANSPORTS, await asyncio.gather(*map(one, TRANSPORTS)), strict=True):
        assert (run.code, run.err) == (0, "")
        [carrier] = [row["carrier"] for row in run.of("path_changed")]
        assert carrier == name
        finals = [row["text"] for row in run.of("user_transcript") if row["final"]]
        assert finals == [ASKED]
        [started], [ended] = run.of("tool_call_started"), run.of("tool_call_ended")
        assert started["name"] == ended["name"] == "get_weather"
        assert (started["call_id"], ended["outcome"]) == (ended["call_id"], "done")
        off += onsets_off(name, run, line.peer.received[0].spoken)  # both are told the same
    assert np.percentile(off, 95) <= ONSET_P95_MS, sorted(off)
    received = line.peer.received
    assert [record.heard for record in received] == [[ASKED], [ASKED]]
    for record in received:
        [call], [response] = record.tool_calls, record.tool_responses
        assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris", "day": "tomorrow"})
        assert (response["id"], response["name"]) == (call["id"], "get_weather")
        assert response["response"]["found"] is True
        assert record.spoken[-1].text.startswith("In Paris it will be")
        assert str(response["response"]["high_c"]) in record.spoken[-1].text
        assert record.interruptions == 0
        declared = record.setup["tools"][0]["functionDeclarations"]
        assert {tool["name"] for tool in declared} == {"get_weather", "find_restaurant"}
