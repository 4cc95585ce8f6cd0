"""Files of the client against a server in memory, in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import voxwire
from voxwire.testing import FakeServer, FakeSession, VirtualTime, in_virtual_time
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

DATA = b"".join(number.to_bytes(4, "big") for number in range(50_000))


def taking() -> FakeServer:
    """A server whose bot takes images and texts."""
    server = FakeServer()
    server.accepts = ("image/*", "text/plain")
    server.file_max_bytes = 300_000
    return server


def connected(server: FakeServer) -> voxwire.Connection:
    return voxwire.connect(server.url, environment=server.environment)


@in_virtual_time
async def test_a_file_reaches_the_bot_whole_with_what_was_said_of_it() -> None:
    async def bot(session: FakeSession) -> None:
        file = await session.file()
        await session.say(f"{file.name} {file.type} {len(file.data)} {file.text}")

    server = taking()
    server.bot = bot
    progress: list[tuple[int, int]] = []
    async with server, connected(server) as session:
        await session.send_file(
            *("a.png", "Image/PNG; q=1", bytearray(DATA)),
            text="look",
            on_progress=lambda done, size: progress.append((done, size)),
        )
        words = [event.text async for event in session if isinstance(event, voxwire.BotWord)]
    assert " ".join(words) == "a.png image/png 200000 look"
    assert progress[0] == (0, 200_000)
    assert len(progress) > 5


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_lost_socket_costs_a_file_nothing(forgetful: bool) -> None:
    @in_virtual_time
    async def run() -> None:
        server = taking()
        cuts = 0

        def cut(done: int, _: int) -> None:
            nonlocal cuts
            if done >= (cuts + 1) * 50_000:
                cuts += 1
                server.forgetful = forgetful
                server.session.drop()

        async with server, connected(server) as session:
            await session.send_file("a.png", "image/png", DATA, on_progress=cut)
            file = await server.session.file()
            assert file.data == DATA
            assert cuts == 3
            assert len(server.session.said("file_begin")) == (4 if forgetful else 1)

    run()


@in_virtual_time
async def test_a_file_that_is_given_up_is_said_to_be(time: VirtualTime) -> None:
    def cancel(task: "asyncio.Task[None]") -> Callable[[int, int], None]:
        return lambda done, _: task.cancel() if done else None

    server = taking()
    async with server, connected(server) as session:

        async def send() -> None:
            task: Any = asyncio.current_task()
            await session.send_file("a.png", "image/png", DATA, on_progress=cancel(task))

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(send())
        await time.advance(100)
        assert server.session.files.open == {}
        assert len(server.session.said("file_cancel")) == 1


@in_virtual_time
async def test_a_refusal_of_the_server_is_the_error(time: VirtualTime) -> None:
    server = taking()
    async with server, connected(server) as session:

        def refuse(done: int, _: int) -> None:
            file_id = server.session.said("file_begin")[0].file_id
            if done:
                code = wire.ErrorCode.ERROR_CODE_CAPACITY
                server.session.files.refuse(file_id, code, "no room")

        with pytest.raises(voxwire.SessionError, match="no room") as refused:
            await session.send_file("a.png", "image/png", DATA, on_progress=refuse)
        assert refused.value.code == ErrorCode.CAPACITY


@in_virtual_time
async def test_a_session_that_ends_ends_its_files() -> None:
    server = taking()
    async with server, connected(server) as session:

        def end(done: int, _: int) -> None:
            if done:
                server.session.finish(wire.EndReason.END_REASON_BOT)

        with pytest.raises(voxwire.UsageError, match="has ended"):
            await session.send_file("a.png", "image/png", DATA, on_progress=end)


@in_virtual_time
async def test_a_progress_that_cancels_its_task_and_fails_ends_its_file_and_nothing_else(
    time: VirtualTime,
) -> None:
    server = taking()
    async with server, connected(server) as session:

        async def send() -> None:
            task: Any = asyncio.current_task()

            def cancel(done: int, _: int) -> None:
                if done:
                    task.cancel()
                    raise ValueError("of the program")

            await session.send_file("a.png", "image/png", DATA, on_progress=cancel)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(send())
        await time.advance(100)
        assert server.session.files.open == {}
        await session.send_file("b.png", "image/png", DATA)
        assert (await server.session.file()).name == "b.png"
