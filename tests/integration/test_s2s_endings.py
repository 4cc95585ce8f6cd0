"""Speech to speech over connections that end: nothing is lost, and trouble has a name."""

import asyncio

import numpy as np
import pytest

import voxwire
from tests.support.gemini_live_peer import Fault
from tests.support.s2s import RESTAURANT, WEATHER, Line, Talk, line, talk


def longest_gap_ms(talker: Talk, start_ms: float, end_ms: float) -> float:
    """The longest silence between two sounds of a stretch of the media clock."""
    rate = talker.ear.sample_rate
    piece = np.abs(talker.ear.samples[int(start_ms * rate / 1000) : int(end_ms * rate / 1000)])
    loud = np.flatnonzero(piece.astype(int) > 300)
    return float(np.diff(loud).max()) * 1000 / rate if len(loud) > 1 else 0.0


async def conversation(on: Line, connections: int) -> Talk:
    """Say a name, ask this and that over so many connections, then ask for the name."""
    questions = [WEATHER, RESTAURANT]
    async with talk(on) as talker:
        await talker.answer()
        await talker.say("my name is Anna")
        await talker.answer()
        number = 0
        while len(on.peer.received) < connections:
            await talker.say(questions[number % 2])
            await talker.answer()
            number += 1
        await talker.say("what is my name")
        await talker.answer()
    assert len(talker.of(voxwire.ToolCallEnded)) == number
    return talker


def check(on: Line, talker: Talk, connections: int) -> None:
    """Everything was said once, heard once, answered once, without a hole."""
    ends = talker.of(voxwire.UtteranceEnded)
    starts = {e.utterance_id: e.media_ms for e in talker.of(voxwire.UtteranceStarted)}
    gap = max(longest_gap_ms(talker, starts[e.utterance_id], e.heard_media_ms) for e in ends)
    print(f"{len(on.peer.received)} connections, {len(ends)} answers, longest gap {gap:.0f} ms")
    assert len(on.peer.received) >= connections
    assert gap <= 500
    assert not talker.of(voxwire.ErrorEvent)
    assert {e.end for e in ends} == {voxwire.UtteranceEnd.COMPLETED}
    assert on.answers() == [turn.text for turn in on.peer.spoken]
    assert len(ends) == len(on.peer.spoken) == len(on.peer.heard) + 1
    finals = [e.text for e in talker.of(voxwire.UserTranscript) if e.final]
    assert finals == on.peer.heard
    name = on.peer.heard[0].rstrip(".").split()[-1]
    assert name.lower() in on.answers()[-1].lower(), "the model remembers across its sessions"


async def test_a_conversation_outlives_the_providers_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        asyncio.timeout(60),
        line(monkeypatch, end_after_s=5, go_away_s=2.5) as on,
    ):
        talker = await conversation(on, 4)
        check(on, talker, 4)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_three_minutes_over_sessions_of_twenty_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        asyncio.timeout(220),
        line(monkeypatch, end_after_s=20, go_away_s=5) as on,
    ):
        talker = await conversation(on, 9)
        check(on, talker, 9)


async def error_of(on: Line) -> voxwire.ErrorEvent:
    """The error that a new session tells of."""
    async with talk(on) as talker:
        error: voxwire.ErrorEvent = await talker.until(voxwire.ErrorEvent)
        return error


@pytest.mark.parametrize(
    ("fault", "words", "retryable"),
    [
        (None, "refused the server's key", False),
        (Fault("quota"), "quota", True),
        (Fault("hang", times=-1), "does not answer", True),
        (Fault("malformed", at="turn", after_ms=300), "cannot be read", True),
    ],
    ids=["wrong key", "quota", "hang", "malformed"],
)
async def test_trouble_with_the_provider_is_told(
    monkeypatch: pytest.MonkeyPatch, fault: Fault | None, words: str, retryable: bool
) -> None:
    async with asyncio.timeout(60), line(monkeypatch) as on:
        if fault is None:
            monkeypatch.setenv("GOOGLE_API_KEY", "another key")
        else:
            on.peer.faults.append(fault)
        error = await error_of(on)
        assert error.code == voxwire.ErrorCode.SERVICE_FAILED and words in error.reason
        assert (error.retryable, error.fatal) == (retryable, False)
        assert "API key" not in error.reason
        on.peer.faults.clear()
        monkeypatch.setenv("GOOGLE_API_KEY", on.peer.settings.key)
        async with talk(on) as talker:  # the server is alive, and so is its next session
            await talker.until(voxwire.BotWord)


async def test_a_model_that_falls_silent_is_asked_again_over_another_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with asyncio.timeout(60), line(monkeypatch) as on, talk(on) as talker:
        await talker.answer()
        on.peer.faults.append(Fault("hang", at="tool"))
        await talker.say(WEATHER)
        error = await talker.until(voxwire.ErrorEvent)
        assert "does not answer" in error.reason
        await talker.until(voxwire.UtteranceStarted)
        await talker.answer()
    assert on.peer.heard[0] == on.peer.heard[1], "the question was sent again"
    assert "Paris" in on.answers()[-1]
