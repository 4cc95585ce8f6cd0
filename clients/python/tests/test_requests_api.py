"""Questions both ways between program and bot."""

import asyncio
import logging
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


def fail(data: Any) -> Any:
    raise LookupError("not here")


ANSWERS = {"double": lambda n: 2 * n, "nothing": lambda _: None, "fail": fail}


@virtual
async def test_a_call_gives_what_the_bot_answers() -> None:
    async with FakeServer(answers=ANSWERS) as server, session_of(server) as session:
        assert await session.call("double", 21) == 42
        assert await session.call("nothing") is None
        answers = [session.call("double", n) for n in range(20)]
        assert await asyncio.gather(*answers) == [2 * n for n in range(20)]
        with pytest.raises(voxwire.VoxwireError, match="not here") as caught:
            await session.call("fail")
        assert caught.value.code == CODE.INTERNAL
        with pytest.raises(voxwire.UsageError) as refused:
            await session.call("unknown")
        assert refused.value.code == CODE.UNSUPPORTED
        await session.close()
        told = [event async for event in session]
        assert not [it for it in told if isinstance(it, voxwire.AppMessage | voxwire.ErrorEvent)]


@virtual
async def test_a_call_ends_at_its_deadline_and_with_the_session(time: VirtualTime) -> None:
    async def hangs(session: FakeSession) -> None:
        await asyncio.sleep(30)

    async with FakeServer(hangs) as server:
        waits = voxwire.Timeouts(wait_ms=700)
        async with session_of(server, timeouts=waits) as session:
            started = time.now_ms()
            server.network.latency_ms = 5000
            with pytest.raises(voxwire.TransportError, match="late was not answered within 700"):
                await session.call("late")
            assert 700 <= time.now_ms() - started <= 720
            with pytest.raises(voxwire.TransportError, match="within 50 ms"):
                await session.call("late", timeout_ms=50)
            call = asyncio.create_task(session.call("late", timeout_ms=60_000))
            await asyncio.sleep(0.01)
            await session.close()
            with pytest.raises(voxwire.UsageError, match="has ended"):
                await call
            with pytest.raises(voxwire.UsageError, match="has ended"):
                await session.call("late")


@virtual
async def test_a_call_outlives_a_lost_connection() -> None:
    async with FakeServer(answers=ANSWERS) as server, session_of(server) as session:
        server.session.drop()
        assert await session.call("double", 4) == 8
        await session.close()


@virtual
async def test_the_program_answers_what_the_bot_asks(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = []

    async def bot(session: FakeSession) -> None:
        for method in ("plain", "slow", "typed", "broken", "strange"):
            try:
                answers.append(await session.request(method, 3))
            except RuntimeError as error:
                answers.append(str(error))

    async def slow(data: int) -> int:
        await asyncio.sleep(0.2)
        return data + 1

    def typed(data: int) -> int:
        raise voxwire.UsageError(CODE.FORBIDDEN, "you may not")

    with caplog.at_level(logging.ERROR, logger="voxwire"):
        handlers = {
            "plain": lambda data: {"got": data},
            "slow": slow,
            "typed": typed,
            "broken": fail,
            "strange": lambda _: {1, 2},
        }
        async with FakeServer(bot) as server, session_of(server, handlers=handlers) as session:
            assert [it async for it in session if isinstance(it, voxwire.AppMessage)] == []
    assert answers[:4] == [{"got": 3}, 4, "you may not", "LookupError"]
    assert "the answer" in answers[4]
    assert [it.message for it in caplog.records] == [
        "what answers broken failed",
        "what answers strange failed",
    ]


@virtual
async def test_what_nobody_handles_is_an_event() -> None:
    async def bot(session: FakeSession) -> None:
        await session.text()
        assert await session.request("ask", 1) == "by hand"

    async with FakeServer(bot) as server, session_of(server) as session:
        off = session.handle("ask", lambda _: "handled")
        off()
        await session.send_text("go")
        asked = await session.wait_for(voxwire.AppMessage)
        await session.send_message("ask", "by hand", request_id=asked.request_id, response=True)
        await session.wait_for(voxwire.SessionEnded)


@virtual
async def test_too_many_questions_at_once_are_refused() -> None:
    refused: list[str] = []

    async def bot(session: FakeSession) -> None:
        async def ask(number: int) -> None:
            try:
                await session.request("slow", number)
            except RuntimeError as error:
                refused.append(str(error))

        await asyncio.gather(*(ask(number) for number in range(70)))

    async def slow(data: int) -> int:
        await asyncio.sleep(1)
        return data

    async with FakeServer(bot) as server:
        async with session_of(server, handlers={"slow": slow}) as session:
            await session.wait_for(voxwire.SessionEnded)
    assert refused == ["too much is asked at once"] * 6


@virtual
async def test_keys_and_context_are_sent() -> None:
    came: list[Any] = []

    async def bot(session: FakeSession) -> None:
        came.append(await session.message())
        await asyncio.Event().wait()

    async with FakeServer(bot) as server, session_of(server) as session:
        await session.send_dtmf("12#*0")
        await session.send_context("the page shows a map")
        await session.send_text("hello", speak=False, interrupt=True)
        while not server.session.said("interrupt") or len(server.session.said("send_text")) < 2:
            await asyncio.sleep(0.01)
        assert came == [("dtmf", {"digits": "12#*0"})]
        context, text = server.session.said("send_text")
        assert context == wire.SendText(
            text="the page shows a map", run_immediately=False, audio_response=True
        )
        assert text == wire.SendText(text="hello", run_immediately=True, audio_response=False)
        await session.close()
