"""A FastAPI application with two voice bots below /voice.

Run it here: uvicorn main:app --port 8000
Then open http://127.0.0.1:8000/voice/, or: voxwire talk ws://127.0.0.1:8000/voice --bot concierge
"""

from fastapi import FastAPI
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voxwire_server import BotSession, Settings, create_app, lifespan
from voxwire_server.bots.registry import load_bot


class Echo(FrameProcessor):
    """Turns the user's audio into the bot's."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Echo audio, pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, 1))
        else:
            await self.push_frame(frame, direction)


async def echo(session: BotSession) -> None:
    """One conversation with the echo."""
    await session.run([session.input(), Echo(), session.output()])


voice = create_app(Settings(), {"concierge": load_bot("offline"), "echo": echo})

app = FastAPI(lifespan=lifespan(voice))
app.mount("/voice", voice)


@app.get("/")
async def root() -> dict[str, str]:
    """What the rest of the application does."""
    return {"talk": "/voice/"}
