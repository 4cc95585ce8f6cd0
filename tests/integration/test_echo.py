"""The bot does not hear itself: by cancellation, or by a gate. The long form: test_echo_long.py."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

import voxwire
from tests.support.double_talk import OverTalk, bot_speech, speak_over, user_phrases
from tests.support.room import CAPTURE_RATE, ROOMS, Air, Rig, impulse_response, music
from tests.support.silero import WINDOW_MS, num_voices
from voxwire._live import echo
from voxwire._live.echo import EchoCanceller, EchoFilter, HalfDuplexGate, NoFilter
from voxwire.playout import Samples
from voxwire.testing import (
    FakeDevice,
    FakeDevices,
    FakeServer,
    FakeSession,
    in_virtual_time,
    tone,
)
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.events import EchoControl

TURNS = 20
SENTENCE = "I would like to tell you something long about the weather"
DELAY_MS = 120


@pytest.mark.parametrize(
    ("far", "room", "delay_ms"),
    [("speech", "desk", 20), ("speech", "meeting room", 300), ("music", "living room", 20)],
)
async def test_echo_is_20_db_quieter_across_a_drift_of_200_ppm(
    far: str, room: str, delay_ms: float
) -> None:
    rig = Rig(EchoCanceller(), ROOMS[room], delay_ms, drift_ppm=200)
    rig.run(await bot_speech(12) if far == "speech" else music(12))
    assert rig.echo_loss_db(after_s=8) >= 20
    plain = Rig(NoFilter(), ROOMS[room], delay_ms, drift_ppm=200)
    plain.run(music(2))
    assert plain.echo_loss_db(after_s=1) == pytest.approx(0, abs=2)


async def test_a_user_who_speaks_over_the_bot_is_understood_at_once() -> None:
    """He is 6 dB louder than the bot at the microphone, which is too little without cancellation.

    A window of the voice detector is 32 ms: two of them later than without a bot is the most.
    """
    phrases, far = await user_phrases(8), await bot_speech(15)

    def said(filtered: EchoFilter, sound: Samples) -> OverTalk:
        rig = Rig(filtered, ROOMS["living room"], 80, 200)
        return speak_over(rig, sound, phrases, above_db=6 if sound.any() else None)

    clean, spoken = said(NoFilter(), np.zeros_like(far)), said(EchoCanceller(), far)
    assert spoken.recognised() >= 0.9 * clean.recognised()
    assert said(NoFilter(), far).recognised() < 0.9 * clean.recognised()
    late_ms = np.subtract(spoken.onsets_ms(), clean.onsets_ms())
    assert late_ms.max() <= 2 * WINDOW_MS
    assert late_ms.mean() <= 60


def the_same_room(mic: FakeDevice, out: FakeDevice) -> None:
    """What the speaker plays is heard by the microphone, over what the user says."""
    rate = mic.sample_rate
    response = impulse_response(ROOMS["living room"], rate)
    air = Air(response, delay_samples=DELAY_MS * rate // 1000, ratio=1.0)
    said = mic.hear

    def hear(num_samples: int) -> Samples:
        sound = air.hear(num_samples) + said(num_samples)
        return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)

    out.on_play, mic.hear = air.play, hear


async def interruptions_of(
    how: str, bot: Callable[[FakeSession], Awaitable[None]], during: Callable[[FakeDevice], object]
) -> list[voxwire.Event]:
    """The events of a session in a room."""
    mic = FakeDevice("mic", microphone=True, sample_rate=CAPTURE_RATE)
    out = FakeDevice("speaker", speaker=True, sample_rate=CAPTURE_RATE)
    the_same_room(mic, out)
    async with FakeServer(bot) as server:
        environment = dataclasses.replace(server.environment, devices=FakeDevices(mic, out))
        async with voxwire.connect(
            server.url, microphone=True, speaker=True, echo=how, environment=environment
        ) as session:
            during(mic)
            return [event async for event in session]


def nothing(_: FakeDevice) -> None:
    """The user is silent."""


def talks(turns: int, heard: list[Samples]) -> Callable[[FakeSession], Awaitable[None]]:
    """A bot that says something long again and again; then what it heard meanwhile is there."""

    async def bot(session: FakeSession) -> None:
        voice = await asyncio.get_running_loop().run_in_executor(None, _voice)
        for _ in range(turns):
            await session.say(SENTENCE, audio=voice)
            await asyncio.sleep(0.3)  # real time: pace
        heard.append(session.user_samples)

    return bot


def _voice() -> Samples:
    return asyncio.run(bot_speech(1.0))


@pytest.mark.parametrize("how", ["cancel", "gate"])
@in_virtual_time
async def test_a_bot_does_not_interrupt_itself_in_20_turns(how: str) -> None:
    """By a test's ears, which take any loud sound for a user, and by Pipecat's voice detector."""
    heard: list[Samples] = []
    events = await interruptions_of(how, talks(TURNS, heard), nothing)
    ended = [event for event in events if isinstance(event, voxwire.UtteranceEnded)]
    assert len(ended) == TURNS
    assert not [event for event in events if isinstance(event, voxwire.Interrupted)]
    assert num_voices(*heard) == 0


@in_virtual_time
async def test_without_either_it_does() -> None:
    heard: list[Samples] = []
    events = await interruptions_of("none", talks(2, heard), nothing)
    assert [event for event in events if isinstance(event, voxwire.Interrupted)]
    assert num_voices(*heard) > 0


@in_virtual_time
async def test_behind_the_gate_the_user_is_heard_when_the_bot_is_quiet(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is without the extra: the gate is on, and an event and one line say so."""

    def missing() -> EchoFilter:
        raise UsageError(ErrorCode.UNSUPPORTED, "not installed")

    monkeypatch.setattr(echo, "EchoCanceller", missing)

    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five")
        await session.listen("now you hear me")

    def speaks_during_and_after(mic: FakeDevice) -> None:
        speech, pause = (
            tone(400, sample_rate=CAPTURE_RATE, hz=200),
            np.zeros(CAPTURE_RATE, np.int16),
        )
        for sound in (pause[: CAPTURE_RATE // 2], speech, pause, speech):  # over the bot, behind it
            mic.speak(sound)

    with caplog.at_level(logging.WARNING, "voxwire"):
        events = await interruptions_of("auto", bot, speaks_during_and_after)
    (said,) = [event for event in events if isinstance(event, voxwire.EchoControlChanged)]
    assert said.control is EchoControl.GATE
    assert "voxwire[aec]" in said.reason
    lines = [record for record in caplog.records if "half duplex" in record.getMessage()]
    assert len(lines) == 1
    assert not [event for event in events if isinstance(event, voxwire.Interrupted)]
    heard = [event.text for event in events if isinstance(event, voxwire.UserTranscript)]
    assert heard == ["now you hear me"]


def test_the_gate_stays_closed_for_as_long_as_a_room_rings() -> None:
    gate, near = HalfDuplexGate(), np.ones(160, np.int16)
    loud, quiet = tone(10, sample_rate=CAPTURE_RATE), np.zeros(160, np.int16)
    assert gate.process(near, quiet).any()
    assert not gate.process(near, loud).any()
    closed = [not gate.process(near, quiet).any() for _ in range(60)]
    assert closed.index(False) == 39
    assert not any(closed[39:])


def test_a_kind_of_echo_control_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'auto', 'cancel', 'gate' or 'none'"):
        voxwire.connect("ws://127.0.0.1:1", echo="loud")
