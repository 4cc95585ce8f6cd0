"""What a program passes in fails: the session ends or goes on as it says, and leaves nothing."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import (
    FakeDevice,
    FakeDevices,
    FakeMicrophone,
    FakeServer,
    FakeSession,
    NetworkState,
    VirtualTime,
)

CODE = voxwire.ErrorCode


class Stopped(asyncio.CancelledError):
    """What a program's own function raises where nobody has cancelled it."""


def open_files() -> set[str]:
    return {
        str(Path(f"/proc/self/fd/{it.name}").resolve()) for it in Path("/proc/self/fd").iterdir()
    }


@virtual
async def test_a_recording_of_a_session_that_never_was_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    async with FakeServer() as server:
        server.network.state = NetworkState.REFUSED
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, record=path):
                pytest.fail("it is in")
        assert str(path) not in open_files()


@virtual
async def test_a_recording_that_cannot_be_written_ends_the_session_and_says_so() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError) as caught:
            async with session_of(server, record="/dev/full", microphone=FakeMicrophone()) as it:
                await it.wait_for(voxwire.Interrupted)
        assert caught.value.code == CODE.DEVICE


@virtual
async def test_a_speaker_that_cannot_be_written_ends_the_session_and_says_so() -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five")

    async with FakeServer(bot) as server:
        with pytest.raises(voxwire.MediaError) as caught:
            async with session_of(server, speaker="/dev/full") as it:
                await it.wait_for(voxwire.Interrupted)
        assert caught.value.code == CODE.DEVICE


async def _stopped(*_: object) -> Any:
    raise Stopped


@virtual
async def test_a_token_source_that_is_stopped_gives_no_token() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.SessionError) as caught:
            async with session_of(server, token=_stopped):
                pytest.fail("it is in")
        assert caught.value.code == CODE.UNAUTHORIZED


@virtual
async def test_a_second_token_source_that_is_stopped_gives_no_token() -> None:
    async def source(request: voxwire.TokenRequest) -> str:
        if request.reason == "refused":
            raise Stopped
        return "old"

    async with FakeServer(tokens=("new",)) as server:
        with pytest.raises(voxwire.SessionError) as caught:
            async with session_of(server, token=source):
                pytest.fail("it is in")
        assert caught.value.code == CODE.UNAUTHORIZED


@virtual
async def test_an_answer_that_is_stopped_is_a_failed_one(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        with pytest.raises(RuntimeError):
            async with asyncio.timeout(1):
                await session.request("ask")

    async with FakeServer(bot) as server:
        async with session_of(server, handlers={"ask": _stopped}) as session:
            async for _ in session:
                pass


def _plainly_stopped(_: object) -> None:
    raise Stopped


@pytest.mark.parametrize("hear", [_stopped, _plainly_stopped])
@virtual
async def test_a_handler_that_is_stopped_is_called_again(hear: Callable[[Any], Any]) -> None:
    heard: list[str] = []

    async def bot(session: FakeSession) -> None:
        await session.say("one two three")

    async def note(event: voxwire.BotWord) -> None:
        heard.append(event.text)
        await hear(event)

    def note_plainly(event: voxwire.BotWord) -> None:
        heard.append(event.text)
        hear(event)

    async with FakeServer(bot) as server, session_of(server) as session:
        session.on(voxwire.BotWord, note if hear is _stopped else note_plainly)
        async for _ in session:
            pass
    assert heard == ["one", "two", "three"]


@virtual
async def test_an_approval_that_is_stopped_is_none() -> None:
    @voxwire.tool
    async def act() -> str:
        """Does something."""
        return "done"

    answers: list[Any] = []

    async def bot(session: FakeSession) -> None:
        answers.append(await session.call_tool("act"))

    async with FakeServer(bot) as server:
        async with session_of(server, tools=[act], approve=_stopped) as session:
            async for _ in session:
                pass
    assert [it.outcome for it in answers] == ["failed"]


class StoppedMicrophone(FakeMicrophone):
    """One whose own task was cancelled."""

    async def run(self) -> None:
        await asyncio.sleep(0.1)
        raise Stopped


async def _stopped_stream() -> AsyncIterator[bytes]:
    yield bytes(640)
    raise Stopped


@virtual
async def test_an_async_speaker_that_is_stopped_ends_the_session() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError) as caught:
            async with session_of(server, speaker=_stopped) as session:
                await session.wait_for(voxwire.Interrupted)
        assert caught.value.code == CODE.DEVICE


@pytest.mark.parametrize("make", [StoppedMicrophone, _stopped_stream])
@virtual
async def test_a_microphone_that_is_stopped_ends_the_session(make: Callable[[], Any]) -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError) as caught:
            async with session_of(server, microphone=make()) as session:
                await session.wait_for(voxwire.Interrupted)
        assert caught.value.code == CODE.DEVICE


@virtual
async def test_progress_that_is_told_to_a_stopped_program_ends_the_file(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.accepts = ("text/plain",)

        def told(done: int, size: int) -> None:
            raise Stopped

        async with session_of(server) as session:
            with pytest.raises(asyncio.CancelledError):
                await session.send_file("a.txt", "text/plain", bytes(9), on_progress=told)
            await session.send_file("b.txt", "text/plain", bytes(9))
            assert not server.session.files.open


@virtual
async def test_a_bug_while_a_key_is_held_is_the_program_s_own(time: VirtualTime) -> None:
    async with FakeServer() as server:
        async with session_of(server) as session:
            with pytest.raises(LookupError):
                async with session.push_to_talk():
                    await session.close()
                    raise LookupError
            with pytest.raises(voxwire.UsageError):
                async with session.push_to_talk():
                    pytest.fail("nobody is heard any more")


@virtual
async def test_who_is_cancelled_while_a_key_is_held_is_cancelled(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:

        async def talk() -> None:
            async with session.push_to_talk():
                await asyncio.Event().wait()

        talking = asyncio.create_task(talk())
        await time.advance(10)
        await session.close()
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking


class HangingDevices(FakeDevices):
    """A system that does not open a device, until it does after all."""

    def __init__(self) -> None:
        super().__init__(FakeDevice("Mic", microphone=True), FakeDevice("Mic 2", microphone=True))
        self.opens = threading.Event()
        self.opens.set()

    def open_input(self, *args: Any) -> Any:
        self.opens.wait(60)
        return super().open_input(*args)


async def test_a_device_that_does_not_open_is_refused_and_closed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxwire._live.keeper.OPEN_MS", 50)
    devices = HangingDevices()
    server = FakeServer()
    environment = dataclasses.replace(server.environment, devices=devices)
    async with (
        server,
        voxwire.connect(server.url, environment=environment, microphone=True) as session,
    ):
        devices.opens.clear()
        with pytest.raises(voxwire.MediaError, match="did not answer within"):
            await session.set_microphone(voxwire.Device("Mic 2"))
        await session.send_text("typed")
    devices.opens.set()
    async with asyncio.timeout(60):
        while any(device.running for device in devices.all):
            await asyncio.sleep(0.01)  # real time: poll


@virtual
async def test_a_socket_that_is_closed_before_hello_is_lost_at_once(time: VirtualTime) -> None:
    async with FakeServer() as server:
        around = server.environment
        dials: list[float] = []

        async def dial(url: str, *, timeout_ms: int) -> Any:
            dials.append(time.now_ms())
            end = await around.dial(url, timeout_ms=timeout_ms)
            if len(dials) == 1:
                end.break_off()
            return end

        environment = dataclasses.replace(around, dial=dial)
        start_ms = time.now_ms()
        async with voxwire.connect(server.url, environment=environment):
            assert time.now_ms() - start_ms < 100
