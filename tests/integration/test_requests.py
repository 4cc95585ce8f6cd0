"""Messages of the application and requests both ways, over the real server."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import Frame, InputDTMFFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import voxwire
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_server import BotSession
from voxwire_server.testing import running_server


class Keys(FrameProcessor):
    """Notes the keys that the pipeline sees."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            self.pressed += frame.button.value
        await self.push_frame(frame, direction)


class Asked:
    """A bot that answers, and asks back."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.sessions: list[BotSession] = []
        self.keys = Keys()

    async def __call__(self, session: BotSession) -> None:
        self.sessions.append(session)
        session.on_message(lambda kind, data: self.told.append((kind, data)))
        session.on_request("add", lambda data: sum(data))
        session.on_request("later", self._later)
        session.on_request("raise", self._raise)
        session.on_request("refuse", self._refuse)
        await session.run([session.input(), self.keys, session.output()])

    async def _later(self, data: Any) -> Any:
        await asyncio.sleep(0.01)  # real time: slow
        return {"later": data}

    def _raise(self, data: Any) -> None:
        raise RuntimeError("a secret")

    def _refuse(self, data: Any) -> None:
        raise make_error(ErrorCode.FORBIDDEN, "not for you")


async def test_the_bot_answers_each_request_once_with_a_result_or_an_error() -> None:
    bot = Asked()
    async with (
        running_server(bot) as server,
        asyncio.timeout(60),
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_message("add", [1, 2, 3], request_id="r1")
        await session.send_message("later", "x", request_id="r2")
        answers = {}
        for _ in range(2):
            answer = await session.wait_for(voxwire.AppMessage)
            answers[answer.request_id] = (answer.type, answer.data, answer.response)
        errors = {}
        for number, method in enumerate(("raise", "refuse", "nothing"), 3):
            await session.send_message(method, request_id=f"r{number}")
            error = await session.wait_for(voxwire.ErrorEvent)
            errors[error.subject_id] = (error.code, error.reason)
        await session.send_message("note", {"a": 1})
        await session.send_message("add", [1], request_id="r6")
        assert (await session.wait_for(voxwire.AppMessage)).data == 1
    assert answers == {"r1": ("add", 6, True), "r2": ("later", {"later": "x"}, True)}
    assert errors["r3"] == (ErrorCode.INTERNAL, "the bot failed to answer; see its log")
    assert errors["r4"] == (ErrorCode.FORBIDDEN, "not for you")
    assert errors["r5"][0] == ErrorCode.UNSUPPORTED
    assert bot.told == [("note", {"a": 1})]


async def test_the_bot_asks_and_gets_the_answer_or_runs_into_its_deadline() -> None:
    bot = Asked()
    async with (
        running_server(bot) as server,
        asyncio.timeout(60),
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        asked = asyncio.create_task(bot.sessions[0].request("where", {"zoom": 3}))
        question = await session.wait_for(voxwire.AppMessage)
        assert (question.type, question.data, question.response) == ("where", {"zoom": 3}, False)
        await session.send_message("where", "here", request_id=question.request_id, response=True)
        assert await asked == "here"
        await session.send_message("where", "again", request_id=question.request_id, response=True)
        with pytest.raises(VoxwireError) as late:
            await bot.sessions[0].request("where", timeout_ms=50)
        assert late.value.code == ErrorCode.TIMEOUT


async def test_keys_reach_the_pipeline_in_order_and_odd_ones_are_refused() -> None:
    bot = Asked()
    async with (
        running_server(bot) as server,
        asyncio.timeout(60),
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_message("dtmf", {"digits": "12*#0"})
        await session.send_message("dtmf", {"digits": "1a"})
        error = await session.wait_for(voxwire.ErrorEvent)
        assert error.code == ErrorCode.INVALID_ARGUMENT
        while len(bot.keys.pressed) < 5:
            await asyncio.sleep(0.01)
    assert bot.keys.pressed == "12*#0"


async def test_a_text_that_asks_for_no_answer_is_told_as_a_turn_of_its_own() -> None:
    async with (
        running_server(Asked()) as server,
        asyncio.timeout(60),
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        notes = []
        for text in ("the user is on page 2", "and on page 3"):
            await session.send_text(text, run=False)
            notes.append(await session.wait_for(voxwire.UserTranscript))
    assert [(note.text, note.final, note.typed) for note in notes] == [
        ("the user is on page 2", True, True),
        ("and on page 3", True, True),
    ]
    assert len({note.turn_id for note in notes}) == 2
