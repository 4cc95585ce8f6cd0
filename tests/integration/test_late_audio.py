"""A synthesiser that goes on although it was interrupted: nothing of that is spoken."""

import asyncio
from collections.abc import AsyncGenerator

from pipecat.frames.frames import Frame, TTSAudioRawFrame

from tests.support.clicks import RATE, ClickTTS, click_pcm, make_bot
from tests.support.raw import dial
from voxwire_protocol import wire
from voxwire_server.testing import running_server

pushed: list[asyncio.Task[None]] = []


class StubbornTTS(ClickTTS):
    """Brings more of the sentence a moment later, whatever happens in between."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        async for frame in super().run_tts(text, context_id):
            yield frame
        pushed.append(asyncio.create_task(self._more(context_id)))

    async def _more(self, context_id: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0.2)  # real time: slow
            frame = TTSAudioRawFrame(click_pcm(1), RATE, 1, context_id=context_id)
            await self.push_frame(frame)


async def test_late_audio_of_a_cut_utterance_is_not_spoken() -> None:
    async with running_server(make_bot(tts=StubbornTTS)) as server, dial(server.url) as client:
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 12"))
        await client.until(lambda: client.heard_ms >= 300)
        await client.send(interrupt=wire.Interrupt())
        await client.until(lambda: bool(client.of("utterance_ended")))
        heard = len(client.audio)
        await asyncio.gather(*pushed)
        await asyncio.sleep(0.3)  # real time: silence
        assert len(client.of("utterance_started")) == 1
        assert len(client.audio) == heard
        await client.send(send_text=wire.SendText(text="say 2"))  # it still can speak
        await client.until(lambda: len(client.of("utterance_ended")) == 2)
