"""The user's side of a session's audio: a microphone that can be muted."""

import numpy as np

from voxwire.audio import Microphone
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["UserAudio"]


class UserAudio:
    """Reads the user for whichever path is in use."""

    def __init__(self, microphone: Microphone | None) -> None:
        """Takes the microphone; None = the user is not heard."""
        self.muted = False
        self._microphone = microphone

    async def run(self) -> None:
        """Runs the microphone until it ends.

        Raises:
            MediaError: It failed.
        """
        if self._microphone is None:
            return
        try:
            await self._microphone.run()
        except Exception as error:
            raise MediaError(ErrorCode.DEVICE, f"the microphone failed: {error!r}") from error

    def read(self, num_samples: int) -> bytes | None:
        """The user's next samples, silence where there are none; None = not heard at all."""
        if self._microphone is None:
            return None
        samples = self._microphone.read(num_samples)
        if self.muted:
            return None
        if len(samples) < num_samples:
            samples = np.concatenate((samples, np.zeros(num_samples - len(samples), np.int16)))
        return samples[:num_samples].astype("<i2", copy=False).tobytes()
