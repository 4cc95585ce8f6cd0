"""The smallest bot: it says what it hears.

Run it: voxwire-server run examples/echo/bot.py
"""

from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voxwire_server import BotSession, serve


class Echo(FrameProcessor):
    """Turns the user's audio into the bot's."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Echo audio, pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, 1))
        else:
            await self.push_frame(frame, direction)


async def bot(session: BotSession) -> None:
    """One conversation."""
    await session.run([session.input(), Echo(), session.output()])


if __name__ == "__main__":
    serve(bot)
