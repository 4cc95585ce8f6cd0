"""A bot over the telephone whose voice says where it is: a click every 100 ms of an utterance."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.support.kernel import StubBot
from voxwire_protocol import wire
from voxwire_server.session.session import Session

__all__ = ["CLICK_MS", "ClickingBot", "clicks_in"]

CLICK_MS: Final = 100
_CLIENT: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT


def clicking(length_ms: int, rate: int) -> NDArray[np.int16]:
    """Silence with a click at 0, 100, 200 ... ms."""
    samples = np.zeros(length_ms * rate // 1000, np.int16)
    for at_ms in range(0, length_ms, CLICK_MS):
        begin = at_ms * rate // 1000
        samples[begin : begin + rate // 500] = 20_000
    return samples


def clicks_in(samples: NDArray[Any]) -> list[int]:
    """Where clicks begin, to a sample or two: a resampler rings before one."""
    loud = np.flatnonzero(np.abs(np.asarray(samples, np.int32)) > 9_000)
    return [int(at) for n, at in enumerate(loud) if n == 0 or at - loud[n - 1] > 100]


class ClickingBot(StubBot):
    """Speaks clicks when a test says so.

    Attributes:
        starts: Where each utterance begins on the media clock, ms.
        digits: The keys that were pressed.
        voice: What it was given of the caller's voice.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.starts: list[float] = []
        self.digits = ""
        self.voice = bytearray()

    def say(self, length_ms: int) -> None:
        self.placed += 1
        self._speaking = f"u{self.placed}"
        rate = self.session.settings.audio_out_sample_rate
        pcm = clicking(length_ms, rate).tobytes()
        start = self.session.voice.place(pcm, new_stretch=True)
        self.starts.append(start * 1000 / rate)

    async def cut(self) -> tuple[float, wire.HeardSource]:
        """Be interrupted; where the bot believes that the caller was."""
        result = await self.session.voice.flush(self._speaking)
        assert result is not None
        return result

    def user_audio(self, pcm: bytes) -> None:
        super().user_audio(pcm)
        self.voice += pcm

    async def keys(self, digits: str) -> None:
        self.digits += digits
