"""What a recogniser says beside the text reaches the client: language and confidence."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

from pipecat.frames.frames import Frame, InterimTranscriptionFrame, StartFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language

import voxwire
from voxwire_server import BotSession
from voxwire_server.testing import running_server

DEEPGRAM = SimpleNamespace(
    channel=SimpleNamespace(alternatives=[SimpleNamespace(confidence=0.875)])
)


class SaysWhatItHeard(STTService):
    """Four transcripts, as services make them; the last is of speech that was not understood."""

    def __init__(self) -> None:
        super().__init__(settings=STTSettings(model="fake", language=None))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.create_task(self._say())

    async def _say(self) -> None:
        await self.push_frame(InterimTranscriptionFrame("bon", "u", "now", Language.FR))
        await self.push_frame(TranscriptionFrame("bonjour", "u", "now", Language.FR_CA, DEEPGRAM))
        await self.push_frame(TranscriptionFrame("hello", "u", "now"))
        shown = SimpleNamespace(shown="(not understood; try: hello)")
        await self.push_frame(TranscriptionFrame("[unknown]", "u", "now", None, shown))


async def test_language_and_confidence_of_a_transcript_reach_the_client() -> None:
    async def bot(session: BotSession) -> None:
        await session.run([session.input(), SaysWhatItHeard(), session.output()])

    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            told: list[Any] = [await session.wait_for(voxwire.UserTranscript) for _ in range(4)]
            await session.send_text("typed", run=False)
    assert [(e.text, e.final, e.language, e.confidence) for e in told] == [
        ("bon", False, "fr", None),
        ("bonjour", True, "fr-CA", 0.875),
        ("hello", True, "", None),
        ("(not understood; try: hello)", True, "", None),
    ]
