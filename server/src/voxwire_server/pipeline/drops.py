"""An item of the pipeline that cannot be used is left out and told of; the rest goes on."""

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from pipecat.frames.frames import Frame

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.json_text import JsonTextError
from voxwire_server.ports import SessionPort

__all__ = ["Drops"]

_log = logging.getLogger("voxwire.pipeline")

P = ParamSpec("P")


class Drops:
    """Tells the client of one session, and the log, what was left out and why.

    Args:
        port: The session.
        session_id: Its id, for the log.
        may_answer: Whether the client may be told of one more.
    """

    def __init__(
        self, port: SessionPort, *, session_id: str, may_answer: Callable[[], bool]
    ) -> None:
        self._port = port
        self._session_id = session_id
        self._may_answer = may_answer

    def tell(self, item: object, error: Exception) -> None:
        """``item`` was left out because of ``error``. Never raises.

        The client learns the error's own code and reason when it has them, else INTERNAL and the
        kind of the error; what the item holds stays in the log.
        """
        name = item.name if isinstance(item, Frame) else str(item)
        fields = {"session": self._session_id, "item": name}
        if isinstance(error, VoxwireError | JsonTextError):
            code, why = wire.ErrorCode.ValueType(error.code.value), error.reason
            if error.code is ErrorCode.MALFORMED:  # it is the bot's value, not a peer's message
                code = wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT
            _log.warning("an item of the pipeline was dropped: %s", why, extra=fields)
        else:
            code, why = wire.ErrorCode.ERROR_CODE_INTERNAL, type(error).__name__
            _log.error("an item of the pipeline was dropped", exc_info=error, extra=fields)
        if self._may_answer():
            self._port.emit_error(code, f"{name} was dropped: {why}", subject=name)

    def guarded(self, work: Callable[P, None], item: object) -> Callable[P, None]:
        """``work``, for a timer: what it raises is told as the loss of ``item``."""

        @functools.wraps(work)
        def guard(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                work(*args, **kwargs)
            except Exception as error:
                self.tell(item, error)

        return guard

    def watch(self, handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """``handler``, for a frame that passes a processor: what it raises is told of the frame."""

        @functools.wraps(handler)
        async def guard(processor: Any, frame: Any, *args: Any) -> None:
            try:
                await handler(processor, frame, *args)
            except Exception as error:
                self.tell(frame, error)

        return guard
