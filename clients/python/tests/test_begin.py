"""What is opened for a session that does not begin is closed; what is said meanwhile is kept."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeMicrophone, FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


def opened(path: Path) -> list[str]:
    """The descriptors that are open for a file."""
    links = Path("/proc/self/fd")
    return [it.name for it in links.iterdir() if it.exists() and os.readlink(it) == str(path)]


def _no_token(request: Any) -> str:
    raise LookupError


async def _hangs(request: Any) -> str:
    await asyncio.Event().wait()
    return ""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux what is open")
@pytest.mark.parametrize("how", ["nobody", "refused", "no token", "cancelled", "long token"])
@virtual
async def test_a_session_that_does_not_begin_leaves_no_file_open(
    time: VirtualTime, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "talk.wav"
    options: dict[str, Any] = {"record": path, "microphone": LiveMicrophone()}
    if how == "no token":
        options["token"] = _no_token
    elif how == "long token":
        options["token"] = lambda _: "x" * 16_000
    elif how == "cancelled":
        options["token"] = _hangs
    async with FakeServer() as server:
        if how == "nobody":
            server.network.state = NetworkState.REFUSED
        elif how == "refused":
            server.refuse_with(CODE.FORBIDDEN)

        async def enter() -> None:
            async with session_of(server, **options):
                pytest.fail("it is in")

        entering = asyncio.create_task(enter())
        if how == "cancelled":
            await time.advance(500)
            entering.cancel()
        with pytest.raises((voxwire.VoxwireError, asyncio.CancelledError)):
            await entering
    assert opened(path) == []


@pytest.mark.parametrize("record", [True, 7, b"talk.wav", ["talk.wav"]])
def test_a_recording_is_a_path(record: Any) -> None:
    with pytest.raises(voxwire.UsageError, match="record must be") as caught:
        voxwire.connect("ws://there", record=record)
    assert caught.value.code == CODE.INVALID_ARGUMENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@virtual
async def test_a_disk_that_is_full_is_said(time: VirtualTime) -> None:
    async with FakeServer() as server:
        for side in ("record", "speaker"):
            with pytest.raises(voxwire.MediaError, match="cannot write /dev/full: No space left"):
                async with session_of(server, **{side: "/dev/full"}) as session:
                    await session.wait_for(voxwire.SessionEnded)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may be larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@virtual
async def test_a_disk_that_fills_up_ends_the_session_with_a_device_error(
    time: VirtualTime, tmp_path: Path
) -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen()

    path = tmp_path / "talk.wav"
    mic = FakeMicrophone()
    with disk_of(150_000):
        async with FakeServer(bot) as server:
            with pytest.raises(voxwire.MediaError, match=r"cannot write .*talk\.wav") as caught:
                async with session_of(server, record=path, microphone=mic) as session:
                    mic.speak(8000)
                    await session.wait_for(voxwire.SessionEnded, timeout_ms=20_000)
    assert caught.value.code == CODE.DEVICE
    assert opened(path) == []


@pytest.mark.parametrize("how", ["cancelled", "too late"])
@virtual
async def test_a_server_need_not_keep_a_session_that_does_not_begin(
    time: VirtualTime, how: str
) -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 200
        server.deaf_to = {wire.Carrier.CARRIER_WEBSOCKET}
        waits = voxwire.Timeouts(connect_ms=1500 if how == "too late" else 10_000)

        async def enter() -> None:
            async with session_of(server, timeouts=waits):
                pytest.fail("it is in")

        entering = asyncio.create_task(enter())
        await time.advance(1000)
        if how == "cancelled":
            entering.cancel()
        with pytest.raises((voxwire.TransportError, asyncio.CancelledError)):
            await entering
        await time.advance(1000)
        assert server.session.over


@virtual
async def test_a_socket_that_is_closed_before_hello_is_dialled_again_at_once(
    time: VirtualTime,
) -> None:
    dialled: list[Any] = []

    async with FakeServer() as server:

        async def dial(url: str, *, timeout_ms: int) -> Any:
            dialled.append(end := await server.environment.dial(url, timeout_ms=timeout_ms))
            if len(dialled) == 1:
                end.break_off()
            return end

        around = voxwire.testing.Environment(dial=dial, clock=server.clock, webrtc=False)
        began = time.now_ms()
        async with voxwire.connect(server.url, environment=around) as session:
            assert time.now_ms() - began < 1000
            assert len(dialled) == 2
            await session.close()


class LiveMicrophone(FakeMicrophone):
    """One that hears whether it is read or not."""

    live = True


@virtual
async def test_what_is_said_while_a_token_is_fetched_is_sent_first(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen("hello")
        await session.say("hi")

    async def source(request: voxwire.TokenRequest) -> str:
        await asyncio.sleep(0.5)
        mic.speak(600)
        await asyncio.sleep(0.8)
        return "good"

    mic = LiveMicrophone()
    async with FakeServer(bot, tokens=("good",)) as server:
        async with session_of(server, microphone=mic, token=source) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            assert changed.resent_ms >= 1300
            assert (await session.wait_for(voxwire.BotWord)).text == "hi"
            await session.close()
        samples = server.session.user_samples
        assert abs(samples.astype(int)).max() > 3000


@virtual
async def test_words_that_no_token_came_for_are_dropped_and_the_log_says_so(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeServer() as server:
        mic = LiveMicrophone()
        with pytest.raises(voxwire.TransportError, match="token source"):
            async with session_of(server, microphone=mic, token=_hangs):
                pytest.fail("it is in")
    assert ["of the user's audio were dropped" in it.message for it in caplog.records] == [True]
