"""A bot's pipeline that only notes what it is told."""

import asyncio
from collections.abc import Callable
from typing import Any

from voxwire_protocol import wire
from voxwire_server.sent_files import SentFile


class FakePipeline:
    """A :class:`voxwire_server.ports.Pipeline`.

    Attributes:
        told: Name and content of what it was told, oldest first; audio is in ``audio``.
        audio: The user's voice, with the time of each block, ms.
        busy_ms: How long it takes to take a text or a key.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.audio: list[tuple[float, bytes]] = []
        self.busy_ms = 0.0

    def user_audio(self, pcm: bytes) -> None:
        self.audio.append((asyncio.get_running_loop().time() * 1000, pcm))

    async def text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        await asyncio.sleep(self.busy_ms / 1000)  # real time: slow
        asks = run_immediately and not is_void()
        self.told.append(("text", (text, asks, audio_response)))

    async def file(self, file: SentFile) -> None:
        self.told.append(("file", file))

    async def keys(self, digits: str) -> None:
        await asyncio.sleep(self.busy_ms / 1000)  # real time: slow
        self.told.append(("keys", digits))

    async def interrupt(self, source: wire.InterruptionSource, *, settle: bool = False) -> None:
        self.told.append(("interrupt", source))

    def heard(self) -> None:
        self.told.append(("heard", None))

    async def end(self) -> None:
        self.told.append(("end", None))
