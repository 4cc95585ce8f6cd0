"""What the user types, handed to the pipeline one text after the other."""

import asyncio
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Texts"]

_MAX_CHARS: Final = 65_536
_MAX_WAITING: Final = 32


class Texts:
    """The typed texts of one session that wait for its pipeline.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._turn = asyncio.Lock()
        self._waiting = 0

    def take(self, message: wire.SendText) -> None:
        """Take a text; one too long or too many is answered with an error."""
        session = self._session
        if len(message.text) > _MAX_CHARS:
            reason = f"a text has at most {_MAX_CHARS} characters"
            session.emit_error(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
        elif self._waiting >= _MAX_WAITING:
            reason = "too many texts wait for the bot"
            session.emit_error(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
        elif message.text.strip():
            self._waiting += 1
            session.spawn(self._hand_over(message))

    async def _hand_over(self, message: wire.SendText) -> None:
        """Hand one text to the pipeline, once it has started and behind the texts before it."""
        session = self._session
        try:
            await session.pipeline_ready.wait()
            async with self._turn:
                if session.port is not None:
                    await session.port.send_text(
                        message.text,
                        run_immediately=not message.HasField("run_immediately")
                        or message.run_immediately,
                        audio_response=not message.HasField("audio_response")
                        or message.audio_response,
                    )
        finally:
            self._waiting -= 1
