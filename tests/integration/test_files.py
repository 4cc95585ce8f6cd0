"""Files reach the bot as Pipecat's own frames, whole and once, and delay nothing."""

import asyncio
import base64
import itertools
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import Frame, UserFileRawFrame, UserImageRawFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import voxwire
from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.inside import every_resume_loses, file_bytes
from tests.support.listening import Ear, click_onsets_ms
from tests.support.raw import dial
from tests.support.waiting import PATIENT, until
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server import BotSession
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

IMAGE = bytes(range(256)) * 40
TEN_MB = 10_485_760


def data_of(size: int) -> bytes:
    """Bytes of which no stretch stands for another one."""
    return np.arange(-(-size // 4), dtype=">u4").tobytes()[:size]


class Files(FrameProcessor):
    """Notes the files that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[UserImageRawFrame] = []
        self.files: list[UserFileRawFrame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, UserImageRawFrame):
            self.images.append(frame)
        elif isinstance(frame, UserFileRawFrame):
            self.files.append(frame)
        await self.push_frame(frame, direction)


class Taker:
    """A bot that notes files; it answers one with a word, and ``say N`` with N."""

    def __init__(self) -> None:
        self.noted = Files()
        self.context = LLMContext()

    async def __call__(self, session: BotSession) -> None:
        user, assistant = session.aggregators(self.context, vad_analyzer=None)
        await session.run(
            [
                *(session.input(), self.noted, user, ScriptedLLM(), ClickTTS()),
                *(session.output(), assistant),
            ]
        )

    def served(self, *accepts: str, **settings: Any) -> Any:
        """A server with this bot, that takes such files."""
        bot = LoadedBot(name="taker", run=self, accepts=accepts)
        return running_server(bot, **{**PATIENT, **settings})

    def whole(self, number: int = 0) -> bytes:
        """The bytes of a file that is no image."""
        return base64.b64decode(self.noted.files[number].file.partition(",")[2])


async def spoken(session: voxwire.Session, number: int = 1) -> list[voxwire.BotWord]:
    """The words of the bot's next answers."""
    words: list[voxwire.BotWord] = []
    while number:
        event = await anext(session)
        if isinstance(event, voxwire.BotWord):
            words.append(event)
        elif isinstance(event, voxwire.UtteranceEnded):
            number -= 1
    return words


async def all_free(server: RunningServer) -> None:
    """Wait until no memory of a file is held."""
    await until(lambda: not file_bytes(server))


async def test_an_image_is_pipecats_image_in_the_context_and_is_answered(transport: str) -> None:
    bot = Taker()
    async with bot.served("image/*") as server:
        async with voxwire.connect(server.url, transport=transport) as session:
            assert session.accepts == voxwire.FileAcceptance(("image/*",), TEN_MB)
            progress: list[tuple[int, int]] = []
            await session.send_file(
                *("cat.png", "image/png", IMAGE),
                text="what is this?",
                on_progress=lambda done, size: progress.append((done, size)),
            )
            transcript = await session.wait_for(voxwire.UserTranscript)
            assert (transcript.text, transcript.typed) == ("what is this?", True)
            assert len(await spoken(session)) == 1
            await all_free(server)
    [image] = bot.noted.images
    assert (image.image, image.format, image.text) == (IMAGE, "image/png", "what is this?")
    assert (image.append_to_context, image.run_llm) == (True, True)
    assert progress[0] == (0, len(IMAGE))
    said = next(m for m in bot.context.get_messages() if m["role"] == "user")
    encoded = base64.b64encode(IMAGE).decode()
    assert said["content"] == [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
    ]


async def test_a_file_is_pipecats_file_and_may_ask_for_nothing() -> None:
    bot = Taker()
    async with bot.served("application/pdf") as server:
        async with voxwire.connect(server.url) as session:
            await session.send_file(*("plan.pdf", "Application/PDF; v=1", b"%PDF"), run=False)
            await session.send_file("more.pdf", "application/pdf", b"%PDF2", speak=False)
            response = await session.wait_for(voxwire.BotResponseText)
            await session.send_text("say 2")
            assert len(await spoken(session)) == 2
    first, second = bot.noted.files
    assert (first.filename, first.format, first.type) == ("plan.pdf", "application/pdf", "bytes")
    assert first.file == "data:application/pdf;base64,JVBERg=="
    assert (first.run_llm, first.append_to_context) == (False, True)
    assert second.filename == "more.pdf"
    assert response.text.strip() == "w0."  # and nobody has spoken it


@pytest.mark.parametrize(
    ("size", "cut"), [(TEN_MB, False), (4_000_000, True)], ids=["10 MB", "cut and resumed"]
)
async def test_a_file_goes_beside_a_conversation_whose_words_stay_in_place(
    transport: str, size: int, cut: bool
) -> None:
    bot, ear = Taker(), Ear()
    words: list[voxwire.BotWord] = []
    async with bot.served("*/*") as server:
        async with voxwire.connect(server.url, speaker=ear, transport=transport) as session:
            data = data_of(size)
            seen = asyncio.Event()

            def note(done: int, _: int) -> None:
                if done > size // 10:
                    seen.set()

            sending = asyncio.ensure_future(
                session.send_file("big.bin", "application/x-big", data, run=False, on_progress=note)
            )
            await seen.wait()
            if cut:
                session.simulate.drop_control()
                over_socket = transport == "websocket"
                back = voxwire.PathChanged if over_socket else voxwire.ConnectionChanged
                await session.wait_for(back)
            await session.send_text("say 6")
            beside = not sending.done()
            words += await spoken(session)
            await sending
            await until(lambda: bot.noted.files)
            await all_free(server)
    assert beside
    assert bot.whole() == data
    onsets = click_onsets_ms(ear.samples, ear.sample_rate)
    assert len(words) == len(onsets) == 6
    errors = np.abs(np.array([w.start_ms for w in words]) - np.array(onsets))
    assert np.median(errors) <= 20
    assert np.percentile(errors, 95) <= 45


async def test_it_outlives_messages_that_are_lost_on_both_sides() -> None:
    bot, data = Taker(), data_of(3_000_000)
    async with bot.served("*/*", grace_ms=60_000) as server:
        async with voxwire.connect(server.url) as session:
            stations = iter([500_000, 1_500_000, 2_500_000, TEN_MB])
            station = next(stations)

            def note(done: int, _: int) -> None:
                nonlocal station
                if done > station:
                    station = next(stations)
                    session.simulate.drop_control()

            with every_resume_loses():
                await session.send_file("a.bin", "a/b", data, run=False, on_progress=note)
            await until(lambda: bot.noted.files)
            skipped = await session.wait_for(voxwire.EventsSkipped)
            assert skipped.snapshot is not None
    assert [bot.whole()] == [data]


async def test_a_file_that_is_cancelled_never_reaches_the_bot_and_the_next_one_does() -> None:
    bot = Taker()
    async with bot.served("*/*") as server:
        async with voxwire.connect(server.url) as session:
            begun = asyncio.Event()
            sending = asyncio.ensure_future(
                session.send_file(
                    *("big.bin", "a/b", data_of(TEN_MB)), on_progress=lambda *_: begun.set()
                )
            )
            await begun.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await session.send_file("small.bin", "a/b", b"small", run=False)
            await until(lambda: bot.noted.files)
            await all_free(server)
    assert [file.filename for file in bot.noted.files] == ["small.bin"]


async def test_what_the_callers_progress_raises_gives_the_file_up() -> None:
    bot = Taker()
    async with bot.served("*/*") as server, voxwire.connect(server.url) as session:

        def fail(*_: int) -> None:
            raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            await session.send_file("big.bin", "a/b", data_of(TEN_MB), on_progress=fail)
        await all_free(server)
        await session.send_text("say 1")
        assert len(await spoken(session)) == 1


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (("a.pdf", "application/pdf", b"x"), ErrorCode.UNSUPPORTED),
        (("a.png", "image/png", b"x" * 1001), ErrorCode.TOO_LARGE),
        (("a.png", "image/png", b""), ErrorCode.INVALID_ARGUMENT),
        (("a.png", "png", b"x"), ErrorCode.INVALID_ARGUMENT),
        (("../a.png", "image/png", b"x"), ErrorCode.INVALID_ARGUMENT),
        (("a" * 256, "image/png", b"x"), ErrorCode.INVALID_ARGUMENT),
        (("a.png", "image/png", "x"), ErrorCode.INVALID_ARGUMENT),
    ],
)
async def test_what_the_bot_does_not_take_is_refused_where_it_is_sent(
    file: Any, code: ErrorCode
) -> None:
    async with (
        Taker().served("image/*", file_max_bytes=1000) as server,
        voxwire.connect(server.url) as session,
    ):
        with pytest.raises(VoxwireError) as refused:
            await session.send_file(*file)
        assert refused.value.code == code


async def test_a_bot_that_says_nothing_takes_no_files_unless_the_server_does() -> None:
    bot = Taker()
    async with running_server(bot) as server, voxwire.connect(server.url) as session:
        assert session.accepts is None
        with pytest.raises(voxwire.UsageError, match="takes no files"):
            await session.send_file("a.png", "image/png", b"x")
    async with (
        running_server(bot, accepts="image/*, text/plain") as server,
        voxwire.connect(server.url) as session,
    ):
        assert session.accepts is not None
        assert session.accepts.types == ("image/*", "text/plain")


async def test_too_many_at_once_are_refused_and_the_others_come_in_order() -> None:
    bot = Taker()
    async with bot.served("*/*") as server, voxwire.connect(server.url) as session:
        outcomes = await asyncio.gather(
            *(session.send_file(f"{n}.bin", "a/b", data_of(60_000), run=False) for n in range(6)),
            return_exceptions=True,
        )
        assert [isinstance(outcome, voxwire.SessionError) for outcome in outcomes] == [
            *itertools.repeat(False, 4),
            *itertools.repeat(True, 2),
        ]
        assert {outcome.code for outcome in outcomes if outcome} == {ErrorCode.RATE_LIMITED}
        await until(lambda: len(bot.noted.files) == 4)
    assert [file.filename for file in bot.noted.files] == [f"{n}.bin" for n in range(4)]


async def test_whatever_is_wrong_with_a_file_it_ends_that_file_and_nothing_else() -> None:
    bot, codes = Taker(), wire.ErrorCode
    async with bot.served("a/*", file_max_bytes=100_000) as server, dial(server.url) as client:

        async def begin(file_id: str, size: int = 50_000, **fields: Any) -> None:
            about = {"name": "a", "type": "a/b", "run_immediately": False, **fields}
            await client.send(file_begin=wire.FileBegin(file_id=file_id, size=size, **about))

        async def piece(file_id: str, offset: int, data: bytes) -> None:
            message = wire.FilePiece(file_id=file_id, offset=offset, data=data)
            await client.send(file_piece=message)

        async def over(file_id: str) -> wire.ErrorCode:
            def ends() -> list[wire.FileEnded]:
                return [end for end in client.of("file_ended") if end.file_id == file_id]

            await client.until(lambda: bool(ends()))
            return wire.ErrorCode.ValueType(ends()[-1].code)

        async def granted(file_id: str) -> None:
            await client.until(lambda: file_id in {t.file_id for t in client.of("file_taken")})

        for number in range(200):
            await begin(f"flood{number}")
        assert await over("flood199") == codes.ERROR_CODE_RATE_LIMITED
        for number in range(200):
            await client.send(file_cancel=wire.FileCancel(file_id=f"flood{number}"))
        await piece("nobody's", 0, b"x")
        assert await over("nobody's") == codes.ERROR_CODE_INVALID_STATE
        for name in ("../a", "/etc/passwd", "c:\\a", "a\0b", "\u202e\u0000"):
            await begin("path", name=name)
            assert await over("path") == codes.ERROR_CODE_INVALID_ARGUMENT
        for file_id, first, offset, data in (
            ("gap", b"x", 2, b"x"),
            ("overlap", b"xyz", 1, b"xyz"),
            ("empty", b"x", 1, b""),
            ("beyond", b"x", 1, b"x" * 16_384),
            ("far", b"x", 2**32 - 1, b"x"),
        ):
            await begin(file_id)
            await granted(file_id)
            await piece(file_id, 0, first)
            await piece(file_id, offset, data)
            assert await over(file_id) == codes.ERROR_CODE_MALFORMED
        await begin("lie", 3)
        await granted("lie")
        await piece("lie", 0, b"four")
        assert await over("lie") == codes.ERROR_CODE_MALFORMED
        await all_free(server)
        await begin("good", 3)
        await granted("good")
        await piece("good", 0, b"abc")
        assert await over("good") == 0
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 1"))
        await client.until(lambda: bool(client.of("utterance_ended")))
        assert client.close_code is None
    assert [bot.whole()] == [b"abc"]


async def test_a_session_that_ends_ends_what_is_being_sent() -> None:
    bot = Taker()
    async with bot.served("*/*") as server, voxwire.connect(server.url) as session:
        begun = asyncio.Event()
        sending = asyncio.ensure_future(
            session.send_file("a.bin", "a/b", data_of(TEN_MB), on_progress=lambda *_: begun.set())
        )
        await begun.wait()
        await session.close()
        with pytest.raises(voxwire.UsageError, match="has ended"):
            await sending


async def test_the_offline_bot_says_what_it_got() -> None:
    pytest.importorskip("pocketsphinx")
    from voxwire_server.bots.registry import load_bot

    async with running_server(load_bot("offline"), **PATIENT) as server:
        async with voxwire.connect(server.url) as session:
            await session.wait_for(voxwire.BotWord)
            await session.send_file("cat.png", "image/png", IMAGE)
            said = ""
            async with asyncio.timeout(60):
                while "kilobytes" not in said:
                    event = await anext(session)
                    if isinstance(event, voxwire.BotWord):
                        said += event.text + " "
            assert "cat.png, an image of 10 kilobytes." in said
            await session.send_file("plan.pdf", "application/pdf", b"x" * 2_000_000)
            response = ""
            while "megabytes" not in response:
                response += (await session.wait_for(voxwire.BotResponseText)).text
            assert "plan.pdf, a file of 2 megabytes." in response
