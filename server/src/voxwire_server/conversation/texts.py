"""What the user types, on its way to the pipeline."""

from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.conversation.lane import Errand, Kind, Lane
from voxwire_server.ports import Pipeline, SessionPort

__all__ = ["Texts"]

_MAX_CHARS: Final = 65_536


class Texts:
    """Takes the typed texts of one session.

    Args:
        port: The session.
        lane: What the client asks of the pipeline.
        pipeline: The bot's pipeline, once it has started.
    """

    def __init__(
        self, port: SessionPort, lane: Lane, *, pipeline: Callable[[], Pipeline | None]
    ) -> None:
        self._port = port
        self._lane = lane
        self._pipeline = pipeline

    def take(self, message: wire.SendText) -> None:
        """Take a text; one too long or too many is answered with an error."""
        asks = not message.HasField("run_immediately") or message.run_immediately
        speaks = not message.HasField("audio_response") or message.audio_response

        async def hand_over(errand: Errand) -> None:
            pipeline = self._pipeline()
            if pipeline is not None:
                await pipeline.text(
                    message.text,
                    run_immediately=asks,
                    audio_response=speaks,
                    is_void=lambda: errand.void,
                )

        if len(message.text) > _MAX_CHARS:
            reason = f"a text has at most {_MAX_CHARS} characters"
            self._port.emit_error(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
        elif not message.text.strip():
            return
        elif self._lane.full:
            reason = "too many texts wait for the bot"
            self._port.emit_error(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
        else:
            self._lane.put(Kind.QUESTION if asks else Kind.INPUT, hand_over)
