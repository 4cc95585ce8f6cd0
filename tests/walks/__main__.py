"""The five walks of the server, traced on the real call: `python -m tests.walks`.

A microphone block from the socket to the recogniser, a word from the synthesiser to the wire, a
tool call there and back, a dropped socket until the path is back, a Hello until its Welcome; and
the opening of a path. Prints the files of each in the order of the first visit, and where the walk
has an end that can be named, the chain of those through which the thing itself was handed on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pipecat.frames.frames import Frame, InputAudioRawFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.support.calling import CallingLLM
from tests.support.clicks import ClickTTS
from tests.support.raw import RawClient
from tests.walks.trace import Walk, traced
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.testing import running_server

BLOCK = "a microphone block, socket to recogniser"
PATH = "opening a path"

_ARRIVALS = {BLOCK: "SessionInput.take", PATH: "WebSocketPath.__init__"}
_QUIET_SECS = 0.4
_BLOCK = bytes(640)


class Recogniser(FrameProcessor):
    """Stands where a recogniser stands: says when a block has come."""

    def __init__(self, came: asyncio.Event) -> None:
        super().__init__()
        self._came = came

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._came.set()
        await self.push_frame(frame, direction)


class Stage:
    """A server with one bot, and a client that does one thing at a time."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.speak: Callable[[str], Awaitable[None]]

    async def bot(self, session: BotSession) -> None:
        """Hears, calls tools, and says what it is told."""
        context = LLMContext(tools=session.client_tools(["look"]))
        user, assistant = session.aggregators(context, vad_analyzer=None)

        async def speak(text: str) -> None:
            assert session.worker is not None
            await session.worker.queue_frame(TTSSpeakFrame(text))

        self.speak = speak
        parts = [session.input(), Recogniser(self.came), user, CallingLLM(), ClickTTS()]
        await session.run([*parts, session.output(), assistant])

    async def block(self, client: RawClient) -> None:
        """One block of the microphone."""
        self.came.clear()
        audio = wire.AudioChunk(path_id=client.path_id, sample_index=0, data=_BLOCK)
        await client.send(audio=audio)
        await self.came.wait()

    async def word(self, client: RawClient) -> None:
        """One word of the bot."""
        await self.speak("word")
        await client.until(lambda: bool(client.of("utterance_words")))

    async def tool(self, client: RawClient) -> None:
        """One tool call that the client answers."""
        await client.send(send_text=wire.SendText(text="call look", audio_response=False))
        await client.until(lambda: bool(client.of("tool_request")))
        call = client.of("tool_request")[-1]
        result = wire.ToolResult(call_id=call.call_id, call_token=call.call_token, result_json="1")
        await client.send(tool_result=result)
        await client.until(lambda: bool(client.of("tool_call_ended")))


async def _quiet() -> None:
    await asyncio.sleep(_QUIET_SECS)


async def _warm(url: str) -> None:
    """Wait until a server has loaded what it begins with."""
    async with httpx.AsyncClient(trust_env=False) as web:
        while (await web.get(f"{url.replace('ws', 'http', 1)}/startupz")).is_error:
            await _quiet()


async def walks() -> dict[str, Walk]:
    """Walk them all, one after the other, with nothing else going on."""
    stage, found = Stage(), dict[str, Walk]()

    async def note(name: str, walk: Awaitable[Any]) -> None:
        await _quiet()
        with traced(_ARRIVALS.get(name, "")) as found[name]:
            await walk

    tool = wire.ToolDeclaration(
        name="look", description="looks", parameters_json='{"type":"object"}'
    )
    settings: dict[str, Any] = {"heartbeat_ms": 60_000, "dead_after_ms": 120_000}
    async with running_server(stage.bot, **settings) as server:
        await _warm(server.url)
        client = RawClient(server.url)
        client.hears = False
        hello = client.hello(tools=[tool])
        hello.features.append(wire.Feature.FEATURE_CLIENT_TOOLS)

        async def say_hello() -> None:
            await client.attach(hello)
            await client.until(lambda: bool(client.welcomes))

        async def come_back() -> None:
            await client.drop()
            await client.attach()
            await client.until(lambda: len(client.welcomes) > 1)
            await client.open_path(2)

        await note("a Hello, until its Welcome", say_hello())
        await note(PATH, client.open_path(1))
        await note(BLOCK, stage.block(client))
        await note("a word, synthesiser to wire", stage.word(client))
        await note("a tool call, model to client to model", stage.tool(client))
        await note("a dropped socket, until its path is back", come_back())
        await client.drop()
    return found


def main() -> None:
    """Print what was found."""
    for name, walk in asyncio.run(walks()).items():
        print(f"{name}: {len(walk.files)} files, {walk.stays} stays")
        print(f"    {' -> '.join(walk.files)}")
        if walk.chain:
            print(f"    chain of {len(walk.chain)}: {' -> '.join(walk.chain)}")


if __name__ == "__main__":
    main()
