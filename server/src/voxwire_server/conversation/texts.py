"""What the user types and what keys the user presses, on their way to the pipeline."""

from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire
from voxwire_server.conversation.lane import Errand, Kind

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Texts"]

_MAX_CHARS: Final = 65_536


class Texts:
    """Takes the typed texts of one session.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session

    def take(self, message: wire.SendText) -> None:
        """Take a text; one too long or too many is answered with an error."""
        session = self._session
        asks = not message.HasField("run_immediately") or message.run_immediately
        speaks = not message.HasField("audio_response") or message.audio_response

        async def hand_over(errand: Errand) -> None:
            if session.port is not None:
                await session.port.send_text(
                    message.text,
                    run_immediately=asks,
                    audio_response=speaks,
                    is_void=lambda: errand.void,
                )

        if len(message.text) > _MAX_CHARS:
            reason = f"a text has at most {_MAX_CHARS} characters"
            session.emit_error(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
        elif not message.text.strip():
            return
        elif session.lane.full:
            reason = "too many texts wait for the bot"
            session.emit_error(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
        else:
            session.lane.put(Kind.QUESTION if asks else Kind.INPUT, hand_over)
