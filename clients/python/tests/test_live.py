"""Live devices of a session: found, watched, opened again, swapped; in virtual time."""

import asyncio
import builtins
import sys
from typing import Any

import numpy as np
import pytest
from live import changes, for_ever, live, microphone, speaker
from virtual import Log, virtual

import voxwire
from voxwire._live import portaudio
from voxwire._live.backend import Device, choose
from voxwire._live.portaudio import machine_devices
from voxwire.testing import (
    FakeDevices,
    FakeServer,
    FakeSession,
    NetworkState,
    VirtualTime,
    loud_ms,
    tone,
)
from voxwire_protocol.events import DeviceKind, DeviceState

MIC, SPEAKER = "Built-in Mic", "Built-in Speaker"
OPENED, LOST = DeviceState.OPENED, DeviceState.LOST


async def listens(session: FakeSession) -> None:
    await session.listen()


async def answers(session: FakeSession) -> None:
    await session.listen("hello")
    await session.say("Good morning to you.")


@virtual
async def test_what_the_microphone_hears_is_answered_by_the_speaker() -> None:
    mic, out = microphone(), speaker()
    async with FakeServer(answers) as server, live(server, FakeDevices(mic, out)) as session:
        mic.speak(tone(500, sample_rate=48_000, hz=200))
        words = [event.text async for event in session if isinstance(event, voxwire.BotWord)]
    assert " ".join(words) == "Good morning to you."
    heard = out.samples
    assert 400 < (np.abs(heard.astype(np.int32)) > 1000).sum() * 1000 / 48_000 < 800


@virtual
async def test_a_device_that_stops_calling_back_is_opened_again(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    async with FakeServer(for_ever(answers)) as server:
        async with live(server, FakeDevices(mic, out)) as session:
            log = Log(session, time)
            await time.advance(1000)
            stalled_ms = time.now_ms()
            mic.stall()
            await time.advance(1000)
            assert 490 <= mic.started_ms - stalled_ms <= 520
            mic.speak(tone(500, sample_rate=48_000, hz=200))
            await time.advance(2000)
        await log.over()
    assert changes(log.events) == [
        ("microphone", MIC, OPENED),
        ("speaker", SPEAKER, OPENED),
        ("microphone", MIC, LOST),
        ("microphone", MIC, OPENED),
    ]
    assert "500 ms" in log.of(voxwire.DeviceChanged)[2].reason
    assert log.of(voxwire.BotWord)


@virtual
async def test_the_first_call_may_take_three_seconds(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    mic.calling = False
    async with FakeServer(listens) as server, live(server, FakeDevices(mic, out)) as session:
        log = Log(session, time)
        await time.advance(2900)
        assert len(changes(log.events)) == 2
        mic.calling = True
        await time.advance(200)
    await log.over()
    assert changes(log.events)[2:] == [("microphone", MIC, LOST), ("microphone", MIC, OPENED)]
    assert "3000 ms" in log.of(voxwire.DeviceChanged)[2].reason


@virtual
async def test_a_device_that_is_unplugged_gives_way_to_one_that_is_there(
    time: VirtualTime,
) -> None:
    """The list is frozen: the headset was not on it, and the speaker had to stop for a moment."""
    mic, out, headset = microphone(), speaker(), microphone("Headset", sample_rate=16_000)
    devices = FakeDevices(mic, out)
    async with FakeServer(for_ever(answers)) as server, live(server, devices) as session:
        log = Log(session, time)
        await time.advance(500)
        devices.add(headset)
        mic.unplug()
        await time.advance(500)
        headset.speak(tone(500, sample_rate=16_000, hz=200))
        await time.advance(2000)
    await log.over()
    assert changes(log.events)[2:] == [
        ("microphone", MIC, LOST),
        ("microphone", "Headset", OPENED),
    ]
    assert devices.refreshed == 1
    assert log.of(voxwire.BotWord)


@virtual
async def test_a_device_that_comes_back_is_found_again_without_end(time: VirtualTime) -> None:
    """Meanwhile the speaker is interrupted at 0, 1, 3, 7, 15, 31, 61 s, and not all the time."""
    mic, out = microphone(), speaker()
    devices = FakeDevices(mic, out)
    async with FakeServer(for_ever(answers)) as server, live(server, devices) as session:
        log = Log(session, time)
        await time.advance(500)
        mic.unplug()
        await time.advance(45_000)
        assert devices.refreshed == 6
        mic.plugged = True
        await time.advance(20_000)
        mic.speak(tone(500, sample_rate=48_000, hz=200))
        await time.advance(2000)
    await log.over()
    assert changes(log.events)[2:] == [("microphone", MIC, LOST), ("microphone", MIC, OPENED)]
    assert log.of(voxwire.BotWord)


@virtual
async def test_a_device_that_changes_its_rate_is_heard_at_the_new_one(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    devices = FakeDevices(mic, out)
    async with FakeServer(listens) as server, live(server, devices) as session:
        log = Log(session, time)
        await time.advance(500)
        mic.sample_rate = 16_000
        mic.end()
        await time.advance(500)
        mic.speak(tone(500, sample_rate=16_000, hz=200))
        await log.over()
        heard = server.session.user_samples
    opened = [e for e in log.of(voxwire.DeviceChanged) if e.state is OPENED]
    assert [e.sample_rate for e in opened] == [48_000, 48_000, 16_000]
    assert crossings_hz(
        heard[np.flatnonzero(heard)[0] : np.flatnonzero(heard)[-1]]
    ) == pytest.approx(200, rel=0.1)


def crossings_hz(samples: Any) -> float:
    signs = np.signbit(samples)
    return np.count_nonzero(signs[1:] != signs[:-1]) / 2 / (len(samples) / 16_000)


@virtual
async def test_the_program_chooses_others_during_a_conversation(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    usb, monitor = microphone("USB Audio"), speaker("HDMI")
    async with FakeServer(for_ever(answers)) as server:
        async with live(server, FakeDevices(mic, out, usb, monitor)) as session:
            log = Log(session, time)
            await session.set_microphone(voxwire.Device("usb"))
            await session.set_speaker(3)
            assert (mic.running, out.running) == (False, False)
            with pytest.raises(voxwire.MediaError, match="no microphone 'Bluetooth'"):
                await session.set_microphone(voxwire.Device("Bluetooth"))
            await time.advance(100)
            assert usb.running
            usb.speak(tone(500, sample_rate=48_000, hz=200))
            await time.advance(2000)
        await log.over()
    assert log.of(voxwire.BotWord)
    assert np.abs(monitor.samples.astype(np.int32)).max() > 1000
    assert not any(device.running for device in (mic, out, usb, monitor))


@virtual
async def test_the_default_is_followed_when_the_list_is_made_anew(time: VirtualTime) -> None:
    mic, out, headset = microphone(), speaker(), speaker("Headset")
    devices = FakeDevices(mic, out)
    async with FakeServer(listens) as server, live(server, devices) as session:
        devices.add(headset)
        devices.defaults[DeviceKind.SPEAKER] = "Headset"
        found = await session.audio.refresh()
        assert [device.name for device in found] == [MIC, SPEAKER, "Headset"]
        assert (out.running, headset.running, mic.running) == (False, True, True)


@virtual
async def test_volume_levels_and_push_to_talk(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()

    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five six seven eight nine ten")

    async with FakeServer(bot) as server, live(server, FakeDevices(mic, out)) as session:
        await session.mute()
        await time.advance(500)
        loud_db = session.audio.levels.speaker_db
        session.audio.volume = 0.1
        for _ in range(3):
            await time.advance(200)
        levels = session.audio.levels
        assert levels.microphone_db == -np.inf
        assert loud_db - levels.speaker_db == pytest.approx(20, abs=1)
        with pytest.raises(voxwire.UsageError, match="0 to 1"):
            session.audio.volume = 2
        async with session.push_to_talk():
            await time.advance(50)
        await time.advance(50)
        said = server.session.said("mute")
    assert [mute.muted for mute in said] == [True, False, True]


@virtual
async def test_a_device_that_is_not_there_fails_the_connection_and_names_what_is() -> None:
    out = speaker()
    async with FakeServer(listens) as server:
        with pytest.raises(voxwire.MediaError, match=r"no microphone; there are none") as caught:
            async with live(server, FakeDevices(out)):
                pass
        with pytest.raises(voxwire.MediaError, match=f"no speaker 'USB'; there are 0: {SPEAKER}"):
            async with live(server, FakeDevices(out), microphone=None, speaker=Device("USB")):
                pass
    assert caught.value.code == voxwire.ErrorCode.DEVICE
    assert not out.running


@virtual
async def test_a_device_that_breaks_while_connecting_leaves_nothing_open() -> None:
    mic, out = microphone(), speaker()
    async with FakeServer(listens) as server:
        server.mute = True
        opening = asyncio.create_task(live(server, FakeDevices(mic, out)).__aenter__())
        await asyncio.sleep(1)
        assert mic.running
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    assert not mic.running
    assert not out.running


@virtual
async def test_a_name_is_whole_or_a_part_that_only_one_has() -> None:
    devices = FakeDevices(microphone("USB"), microphone("USB Audio"), speaker("usb speaker"))

    def named(which: str | int) -> int:
        return choose(devices, DeviceKind.MICROPHONE, Device(which)).index

    assert named("USB") == 0
    assert named("audio") == 1
    assert named(1) == 1
    with pytest.raises(voxwire.UsageError, match="more than one microphone"):
        named("us")
    with pytest.raises(voxwire.MediaError, match="no microphone 2"):
        named(2)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ImportError("no module"), r"pip install 'voxwire\[audio\]'"),
        (OSError("PortAudio library not found"), "libportaudio2"),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(
    raised: Exception, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = builtins.__import__

    def failing(name: str, *args: Any, **named: Any) -> Any:
        if name == "sounddevice":
            raise raised
        return imports(name, *args, **named)

    machine_devices.cache_clear()
    monkeypatch.setattr(builtins, "__import__", failing)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(voxwire.UsageError, match=expected) as caught:
        voxwire.connect("ws://127.0.0.1:1", microphone=True)
    code, missing = voxwire.ErrorCode, isinstance(raised, ImportError)
    assert caught.value.code == (code.MISSING_EXTRA if missing else code.UNSUPPORTED)
    machine_devices.cache_clear()


class SoundDevice:
    """The module as `PortAudioDevices` uses it; a device with two channels and no less."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.default = type("default", (), {"device": (0, -1)})

    def query_devices(self) -> list[dict[str, Any]]:
        channels = {"max_input_channels": 2, "max_output_channels": 0}
        return [{"name": "Card", "default_samplerate": 44_100.0, **channels}]

    def _terminate(self) -> None:
        self.log.append("terminate")

    def _initialize(self) -> None:
        self.log.append("initialize")

    def InputStream(self, **options: Any) -> Any:
        if options["channels"] == 1:
            raise self.PortAudioError("invalid number of channels")
        self.log.append(options)
        calls = {"start": lambda _: None, "close": lambda _, ignore_errors: None, "latency": 0.01}
        return type("Stream", (), calls)()


def test_portaudio_is_asked_for_10_ms_and_is_made_anew_while_nothing_runs() -> None:
    module = SoundDevice()
    devices = portaudio.PortAudioDevices(module)
    (card,) = devices.devices()
    assert (card.sample_rate, card.microphones, card.is_default) == (44_100, 2, True)
    assert devices.default(DeviceKind.SPEAKER) is None
    heard: list[Any] = []
    stream = devices.open_input(card, heard.append, lambda: None)
    options = module.log.pop()
    assert (options["blocksize"], options["samplerate"], options["channels"]) == (441, 44_100, 2)
    options["callback"](np.array([[2, 4], [6, 8]], np.int16), 2, None, None)
    assert heard[0].tolist() == [3, 7]
    assert stream.latency_ms == 10
    assert not devices.refresh()
    stream.close()
    stream.close()
    assert devices.refresh()
    assert module.log == ["terminate", "initialize"]


@virtual
async def test_what_is_said_while_connecting_comes_first_and_whole(time: VirtualTime) -> None:
    mic = microphone()
    async with FakeServer(listens) as server:
        server.network.latency_ms = 250
        mic.speak(np.zeros(9600, np.int16))
        mic.speak(tone(800, sample_rate=48_000, hz=200))  # begun half a second before it is ready
        async with live(server, FakeDevices(mic), speaker=None) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            await time.advance(2000)
            heard = server.session.user_samples
    assert changed.resent_ms >= 700
    assert loud_ms(heard, sample_rate=16_000) == pytest.approx(800, abs=2)


@virtual
async def test_no_more_than_three_seconds_are_kept(time: VirtualTime) -> None:
    mic = microphone()
    async with FakeServer(listens) as server:
        server.network.latency_ms = 1300
        mic.speak(tone(9000, sample_rate=48_000, hz=200))
        async with live(server, FakeDevices(mic), speaker=None) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            assert 2900 <= changed.resent_ms <= 3000


@virtual
async def test_a_refusal_drops_what_was_said_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mic = microphone()
    async with FakeServer(listens) as server:
        server.network.latency_ms = 200
        server.refuse_with(voxwire.ErrorCode.UNAUTHORIZED)
        with pytest.raises(voxwire.SessionError):
            async with live(server, FakeDevices(mic), speaker=None):
                pass
    assert "ms of the user's audio were dropped: the session did not begin" in caplog.text
    assert not mic.running


@virtual
async def test_a_mute_drops_what_waits_and_an_event_says_so(time: VirtualTime) -> None:
    mic = microphone()
    async with FakeServer(listens) as server:
        async with live(server, FakeDevices(mic), speaker=None) as session:
            log = Log(session, time)
            await time.advance(500)
            server.network.state = NetworkState.REFUSED
            server.network.cut()
            await time.advance(800)
            await session.mute()
            server.network.state = NetworkState.UP
            await time.advance(5000)
        await log.over()
    (dropped,) = log.of(voxwire.CaptureDropped)
    assert dropped.dropped_ms == pytest.approx(800, abs=100)
    assert dropped.reason == "the microphone was muted"


@virtual
async def test_a_session_that_is_closed_while_it_waits_says_what_is_dropped(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    mic = microphone()
    async with FakeServer(listens) as server:
        async with live(server, FakeDevices(mic), speaker=None):
            await time.advance(500)
            server.network.state = NetworkState.REFUSED
            server.network.cut()
            await time.advance(800)
    assert "ms of the user's audio were dropped: the session was closed" in caplog.text
