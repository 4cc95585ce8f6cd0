"""A part of a pipeline that notes the keys that come by."""

from pipecat.frames.frames import Frame, InputDTMFFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

__all__ = ["NotedKeys"]


class NotedKeys(FrameProcessor):
    """Stands behind the input of a pipeline.

    Args:
        keys: Where they are noted.
    """

    def __init__(self, keys: list[str]) -> None:
        super().__init__()
        self._keys = keys

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Notes a key, and hands everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            self._keys.append(frame.button.value)
        await self.push_frame(frame, direction)
