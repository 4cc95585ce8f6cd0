"""A session that its own functions end, and functions that meet something cancelled."""

import asyncio
from typing import Any

import pytest
from virtual import Log, session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, ToolAnswer, VirtualTime

CODE = voxwire.ErrorCode


async def meets_something_cancelled(*_: Any, **__: Any) -> str:
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()
    return await gone


@pytest.mark.parametrize("who", ["tool", "approve", "handler", "handle", "task of a tool"])
@virtual
async def test_a_function_of_the_session_may_end_it(time: VirtualTime, who: str) -> None:
    left: list[float] = []
    closed = asyncio.Event()

    async def hang_up(*_: Any) -> bool:
        began = time.now_ms()
        closing: Any = session.close()
        await (asyncio.create_task(closing) if who == "task of a tool" else closing)
        left.append(time.now_ms() - began)
        closed.set()
        return True

    @voxwire.tool
    async def leave() -> str:
        """Hang up."""
        if "tool" in who:
            await hang_up()
        return "done"

    async def bot(session: FakeSession) -> None:
        await session.text()
        if who in ("handler", "handle"):
            await session.request("leave")
        else:
            await session.call_tool("leave", {})

    options: dict[str, Any] = {"approve": hang_up} if who == "approve" else {}
    if who == "handler":
        options["handlers"] = {"leave": hang_up}
    async with FakeServer(bot) as server:
        async with session_of(server, tools=[leave], **options) as session:
            log = Log(session, time)
            if who == "handle":
                session.handle("leave", hang_up)
            await session.send_text("go")
            await log.over()
            if who != "task of a tool":
                await asyncio.wait_for(closed.wait(), 1)
    assert log.failure is None
    if who != "task of a tool":  # which waits for what is cancelled with it
        assert [it < 1500 for it in left] == [True]


@virtual
async def test_what_is_asked_while_a_session_is_cleaned_up_is_told_that_it_is_over(
    time: VirtualTime,
) -> None:
    async def lingers(event: voxwire.Event) -> None:
        await asyncio.sleep(0.9)

    async def bot(session: FakeSession) -> None:
        await asyncio.Event().wait()

    async with FakeServer(bot) as server:
        server.accepts = ("*/*",)
        async with session_of(server, resume=False) as session:
            session.on(voxwire.PathChanged, lingers)
            session.on(object, lingers)
            log = Log(session, time)
            server.session.error(CODE.INTERNAL)
            await asyncio.sleep(0.01)
            server.session.drop()
            await log.over()
            assert isinstance(log.failure, voxwire.TransportError)
            began = time.now_ms()
            for asking in (
                session.call("anything"),
                session.send_file("a.txt", "text/plain", b"text"),
                session.send_text("late"),
            ):
                with pytest.raises(voxwire.UsageError, match="has ended"):
                    await asking
            assert time.now_ms() == began


@virtual
async def test_a_request_whose_handler_met_something_cancelled_is_answered() -> None:
    answers: list[Any] = []

    async def bot(session: FakeSession) -> None:
        for method in ("awaits", "asks"):
            try:
                answers.append(await session.request(method))
            except Exception as error:
                answers.append(str(error))

    def asks(data: Any) -> Any:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        return gone.result()

    handlers = {"awaits": meets_something_cancelled, "asks": asks}
    async with FakeServer(bot) as server, session_of(server, handlers=handlers) as session:
        await session.wait_for(voxwire.SessionEnded)
    assert len(answers) == 2
    assert all("CancelledError" in it for it in answers)


@virtual
async def test_a_token_source_that_met_something_cancelled_gave_no_token() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.SessionError, match="raised CancelledError") as caught:
            async with session_of(server, token=meets_something_cancelled):
                pytest.fail("it is in")
        assert caught.value.code == CODE.UNAUTHORIZED


@virtual
async def test_progress_that_met_something_cancelled_ends_the_file_alone() -> None:
    def progress(done: int, size: int) -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        gone.result()

    async with FakeServer() as server:
        server.accepts = ("*/*",)
        async with session_of(server) as session:
            with pytest.raises(asyncio.CancelledError):
                await session.send_file("a.txt", "text/plain", b"text", on_progress=progress)
            await session.send_text("still there")
            await asyncio.sleep(0.1)
            assert server.session.said("send_text")
            await session.close()


class CancelledMicrophone:
    """A microphone whose loop meets something cancelled."""

    def read(self, num_samples: int) -> Any:
        return voxwire.testing.tone(20)[:0]

    async def run(self) -> None:
        await meets_something_cancelled()


@virtual
async def test_a_microphone_that_met_something_cancelled_has_failed() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError, match="CancelledError"):
            async with session_of(server, microphone=CancelledMicrophone()) as session:
                await session.wait_for(voxwire.SessionEnded, timeout_ms=2000)


@virtual
async def test_a_tool_that_was_stopped_and_tidies_up_ends_with_the_session() -> None:
    tidied = asyncio.Event()
    stopped = asyncio.Event()

    @voxwire.tool
    async def slow() -> str:
        """Take long."""
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
            await asyncio.sleep(0.5)
            tidied.set()
        return ""

    answers: list[ToolAnswer] = []

    async def bot(session: FakeSession) -> None:
        answers.append(await session.call_tool("slow", {}))

    async with FakeServer(bot) as server:
        async with session_of(server, tools=[slow]) as session:
            await asyncio.sleep(0.5)
            server.session.interrupt()
            await stopped.wait()
            await session.close()
            assert tidied.is_set()
