"""Questions both ways over `AppMessage`: a request names itself, its answer repeats the name.

An `Error` about that name is an answer, too (``protocol/spec/session.md``, "Messages and requests
of the application").
"""

import asyncio
import inspect
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from voxwire._stopped import is_cancelled
from voxwire_protocol import wire
from voxwire_protocol.errors import (
    ErrorCode,
    TransportError,
    UsageError,
    VoxwireError,
    error_from_wire,
    make_error,
)
from voxwire_protocol.json_text import JsonTextError, dump_json, load_json

__all__ = ["Requests"]

MAX_ANSWERING: Final = 64
"""Questions of the bot that are answered at a time; more are refused."""

_MAX_REASON_CHARS: Final = 500
_log = logging.getLogger("voxwire")


class Requests:
    """The requests of one session. Owned by what runs it; ends with `close`."""

    def __init__(
        self,
        send: Callable[[wire.Envelope], object],
        handlers: Mapping[str, Callable[[Any], Any]],
    ) -> None:
        """Creates it with nothing asked.

        Args:
            send: Sends a message; raises VoxwireError when that cannot be done.
            handlers: What answers from the first on, by the name of the request.
        """
        self._send = send
        self._open: dict[str, asyncio.Future[Any]] = {}
        self._handlers = dict(handlers)
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, method: str, function: Callable[[Any], Any]) -> Callable[[], None]:
        """Answers requests of that name from now on; returns what ends that."""
        self._handlers[method] = function

        def off() -> None:
            if self._handlers.get(method) is function:
                del self._handlers[method]

        return off

    async def call(self, method: str, data_json: str, timeout_ms: float) -> Any:
        """Asks the bot's program. Cancel-safe.

        Raises:
            VoxwireError: Its error; TIMEOUT; why the session ended.
        """
        request_id = secrets.token_hex(12)
        answer = self._open[request_id] = asyncio.get_running_loop().create_future()
        message = wire.AppMessage(type=method, data_json=data_json, request_id=request_id)
        try:
            self._send(wire.Envelope(app_message=message))
            async with asyncio.timeout(timeout_ms / 1000):
                return await answer
        except TimeoutError:
            reason = f"{method} was not answered within {timeout_ms:g} ms"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None
        finally:
            self._open.pop(request_id, None)

    def receive(self, message: wire.AppMessage) -> bool:
        """Takes a message of the application; true when somebody here asked or answers it."""
        if not message.request_id:
            return False
        if message.response:
            return self._settle(message)
        function = self._handlers.get(message.type)
        if function is None:
            return False
        answering = self._answer(message, function, room=len(self._tasks) < MAX_ANSWERING)
        task = asyncio.create_task(answering, name="voxwire-answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def refuse(self, error: wire.Error) -> bool:
        """Takes an error; true when it answers a request."""
        answer = self._open.get(error.subject_id) if error.subject_id else None
        if answer is None or answer.done():
            return False
        answer.set_exception(error_from_wire(error))
        return True

    async def close(self, failure: VoxwireError | None) -> None:
        """The session is over: nothing is answered any more, either way."""
        for answer in self._open.values():
            if not answer.done():
                ended = UsageError(ErrorCode.INVALID_STATE, "the session has ended")
                answer.set_exception(failure or ended)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)

    def _settle(self, message: wire.AppMessage) -> bool:
        answer = self._open.get(message.request_id)
        if answer is None or answer.done():
            return False
        try:
            answer.set_result(load_json(message.data_json) if message.data_json else None)
        except ValueError as error:
            answer.set_exception(make_error(ErrorCode.MALFORMED, f"the answer: {error}"))
        return True

    async def _answer(
        self, message: wire.AppMessage, function: Callable[[Any], Any], *, room: bool
    ) -> None:
        method, request_id = message.type, message.request_id
        try:
            if not room:
                raise make_error(ErrorCode.CAPACITY, "too much is asked at once", retryable=True)
            result = function(load_json(message.data_json) if message.data_json else None)
            data_json = dump_json(await result if inspect.isawaitable(result) else result)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            if not isinstance(error, VoxwireError):
                _log.exception("what answers %s failed", method)
            self._reply(error=_error_of(error, request_id))
        else:
            self._reply(
                app_message=wire.AppMessage(
                    type=method, data_json=data_json, request_id=request_id, response=True
                )
            )

    def _reply(self, **payload: Any) -> None:
        try:
            self._send(wire.Envelope(**payload))
        except VoxwireError as error:
            _log.warning("an answer was not sent: %s", error.reason)


def _error_of(error: BaseException, request_id: str) -> wire.Error:
    """What the bot is told: our own errors in their words, of anything else the type's name."""
    code, reason, retryable = ErrorCode.INTERNAL, type(error).__name__, False
    if isinstance(error, VoxwireError):
        code, reason, retryable = ErrorCode(error.code), error.reason, error.retryable
    elif isinstance(error, JsonTextError):
        code, reason = ErrorCode(error.code), f"the answer: {error.reason}"
    value: Any = code.value
    return wire.Error(
        code=value,
        reason=reason[:_MAX_REASON_CHARS],
        retryable=retryable,
        subject_id=request_id,
    )
