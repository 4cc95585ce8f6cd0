"""The gemini bot on the local peer: the real server and `voxwire talk`, each in a process."""

import asyncio
import json
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
from tests.support.gemini_live_peer import GeminiPeer, SpokenTurn, running_peer
from voxwire_server.bots.offline.espeak import shared_espeak
from voxwire_server.bots.offline.phrases import render_wav

QUESTION = "what is the weather in paris tomorrow"
ONSET_P95_MS = 150
"""How far an estimated onset may be from the true one."""
ASKED = "What is the weather in paris tomorrow?"


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
            async with asyncio.timeout(30):
                first = (await process.stdout.readline()).decode()
            address = re.search(r"Bot 'gemini' listens on (ws://\S+)", first)
            assert address is not None, first
            yield Line(peer, address[1])
        finally:
            process.terminate()
            async with asyncio.timeout(15):
                await process.wait()


async def talk(url: str, *arguments: str | Path, events: Path) -> list[dict[str, Any]]:
    """Runs `voxwire talk`; the events that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire.cli", "talk", url, "--events", str(events)),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return [json.loads(row) for row in events.read_text().splitlines()]


def of(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["type"] == kind]


def check_words(name: str, rows: list[dict[str, Any]], spoken: Sequence[SpokenTurn]) -> None:
    """Every turn's words fire once and in order, and are near the places where they sound."""
    started = of(rows, "utterance_started")
    assert [row["source"] for row in started] == ["estimated"] * len(spoken)
    fired_off: list[int] = []
    final_off: list[int] = []
    overlap_ms = 0
    for utterance, turn in zip(started, spoken, strict=True):
        here = [r for r in of(rows, "bot_word") if r["utterance_id"] == utterance["utterance_id"]]
        assert " ".join(row["text"] for row in here) == turn.text
        assert [row["index"] for row in here] == list(range(len(here)))
        for first, second in pairwise(here):
            assert first["t_ms"] <= second["t_ms"], (first, second)
            assert first["start_ms"] <= second["start_ms"], (first, second)
        placed = last_placed(rows, utterance["utterance_id"])
        for first, second in pairwise(placed):
            assert first["start_ms"] <= second["start_ms"], (first, second)
            overlap_ms = max(overlap_ms, first["end_ms"] - second["start_ms"])
        true = [word.start_ms + utterance["media_ms"] for word in turn.words]
        fired_off += [abs(w["start_ms"] - at) for w, at in zip(here, true, strict=True)]
        final_off += [abs(w["start_ms"] - at) for w, at in zip(placed, true, strict=True)]
    fired_p95, final_p95 = np.percentile(fired_off, 95), np.percentile(final_off, 95)
    print(
        f"{name}: {len(fired_off)} words, off the true onset by p95 {fired_p95:.0f} ms when they"
        f" fired, {final_p95:.0f} ms at last; spans overlap by {overlap_ms} ms at most"
    )
    assert fired_p95 <= ONSET_P95_MS, sorted(fired_off)
    assert final_p95 <= ONSET_P95_MS, sorted(final_off)


def last_placed(rows: list[dict[str, Any]], utterance_id: str) -> list[dict[str, Any]]:
    """The words of an utterance as they were told last: a revision replaces by index."""
    placed: dict[int, dict[str, Any]] = {}
    for row in of(rows, "utterance_words"):
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

    async def one(transport: str) -> list[dict[str, Any]]:
        return await talk(
            line.url,
            *("--transport", transport, "--in", tmp_path / "q.wav"),
            events=tmp_path / f"{transport}.jsonl",
        )

    runs = await asyncio.gather(*(one(name) for name in TRANSPORTS))
    for name, rows in zip(TRANSPORTS, runs, strict=True):
        finals = [row["text"] for row in of(rows, "user_transcript") if row["final"]]
        assert finals == [ASKED]
        [started], [ended] = of(rows, "tool_call_started"), of(rows, "tool_call_ended")
        assert started["name"] == ended["name"] == "get_weather"
        assert (started["call_id"], ended["outcome"]) == (ended["call_id"], "done")
        answer = line.peer.spoken[-1].text
        responses: dict[str, str] = {}
        for row in of(rows, "bot_response_text"):
            responses[row["response_id"]] = responses.get(row["response_id"], "") + row["text"]
        assert list(responses.values())[-1] == answer
        check_words(name, rows, line.peer.received[0].spoken)
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


async def test_typed_text_is_answered_aloud(line: Line, tmp_path: Path) -> None:
    rows = await talk(
        line.url,
        *("--transport", "websocket", "--text", "find a Japanese restaurant in London"),
        events=tmp_path / "text.jsonl",
    )
    [typed] = [row for row in of(rows, "user_transcript") if row["final"]]
    assert typed["typed"] and typed["text"] == "find a Japanese restaurant in London"
    [record] = line.peer.received
    assert record.texts[-1] == typed["text"]
    assert record.tool_responses[0]["name"] == "find_restaurant"
    answer = record.spoken[-1].text
    assert answer.startswith("For Japanese food in London")
    check_words("typed", rows, [turn for turn in record.spoken if not turn.interrupted])
