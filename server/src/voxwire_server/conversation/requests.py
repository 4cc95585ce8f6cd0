"""Messages of the application, and requests both ways over them (``AppMessage.request_id``).

A request names itself, its answer repeats the name with ``response``; an ``Error`` whose
``subject_id`` is that name is an answer, too.
"""

import asyncio
import inspect
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError, error_from_wire, make_error
from voxwire_protocol.json_text import JsonTextError, dump_json, parse_json
from voxwire_server.ports import SessionPort

__all__ = ["Requests"]

_log = logging.getLogger("voxwire.session")

_DTMF: Final = "dtmf"
_MAX_ANSWERING: Final = 32
_MAX_REASON_CHARS: Final = 500


class Requests:
    """What the client's program and the bot ask of each other.

    Args:
        port: The session.
        session_id: Names it in the log.
        press: Takes the keys of a ``dtmf`` message, whatever they are.
        may_answer: Whether a refusal may be told just now: a flood of them is not.
    """

    def __init__(
        self,
        port: SessionPort,
        *,
        session_id: str,
        press: Callable[[object], None],
        may_answer: Callable[[], bool],
    ) -> None:
        self._port = port
        self._session_id = session_id
        self._press = press
        self._may_answer = may_answer
        self._open: dict[str, asyncio.Future[Any]] = {}
        self._answering = 0
        self.handlers: dict[str, Callable[[Any], Any]] = {}
        """What answers the client's requests, by method."""
        self.on_message: Callable[[str, Any], Any] | None = None
        """Is told of messages that ask nothing: their type and data."""
        self.relay: Callable[[wire.AppMessage, Any], None] | None = None
        """Takes the messages, with their data, and the requests that no handler answers: what is
        answered of those, and when, is its own affair."""

    def answers(self, method: str) -> bool:
        """Whether the client's requests of this name are for somebody."""
        return method in self.handlers or self.relay is not None

    def take(self, message: wire.AppMessage) -> None:
        """Take a message of the client. What is no JSON is answered with an error."""
        try:
            data = parse_json(message.data_json or "null", max_bytes=65_536)
        except JsonTextError as error:
            self._refuse(message, error.code, error.reason)
            return
        if message.response:
            self._settle(message.request_id, data)
        elif not message.request_id:
            if message.type == _DTMF:
                self._press(_digits(data))
            if self.on_message is not None:
                self._port.spawn(self._tell(self.on_message, message.type, data))
            if self.relay is not None and message.type != _DTMF:
                self.relay(message, data)
        elif self.relay is not None and message.type not in self.handlers:
            self.relay(message, data)
        elif message.type not in self.handlers:
            self._refuse(message, ErrorCode.UNSUPPORTED, "the bot answers no such request")
        elif self._answering >= _MAX_ANSWERING:
            self._refuse(message, ErrorCode.RATE_LIMITED, "too many requests wait for an answer")
        else:
            self._answering += 1
            self._port.spawn(self._answer(message, self.handlers[message.type], data))

    def refused(self, error: wire.Error) -> None:
        """Take an error of the client: the answer to a request of the bot, if it names one."""
        future = self._open.get(error.subject_id)
        if future is not None and not future.done():
            future.set_exception(error_from_wire(error))

    async def ask(self, method: str, data: Any, timeout_ms: int) -> Any:
        """Ask the client's program. Cancel-safe.

        Raises:
            VoxwireError: What the client answered, or TIMEOUT.
            JsonTextError: ``data`` cannot be sent.
        """
        request_id = secrets.token_hex(12)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[request_id] = future
        try:
            self._port.emit(
                app_message=wire.AppMessage(
                    type=method, data_json=dump_json(data), request_id=request_id
                )
            )
            async with asyncio.timeout(timeout_ms / 1000):
                return await future
        except TimeoutError:
            reason = f"the client did not answer {method} in time"
            raise make_error(ErrorCode.TIMEOUT, reason, retryable=True) from None
        finally:
            del self._open[request_id]

    def _settle(self, request_id: str, data: Any) -> None:
        future = self._open.get(request_id)
        if future is not None and not future.done():
            future.set_result(data)

    async def _answer(
        self, message: wire.AppMessage, handler: Callable[[Any], Any], data: Any
    ) -> None:
        try:
            result = handler(data)
            if inspect.isawaitable(result):
                result = await result
            text = dump_json(result)
        except (VoxwireError, JsonTextError) as error:
            self._refuse(message, error.code, error.reason)
        except Exception:
            fields = {"session": self._session_id, "method": message.type}
            _log.exception("request failed", extra=fields)
            self._refuse(message, ErrorCode.INTERNAL, "the bot failed to answer; see its log")
        else:
            self._port.emit(
                app_message=wire.AppMessage(
                    type=message.type, data_json=text, request_id=message.request_id, response=True
                )
            )
        finally:
            self._answering -= 1

    async def _tell(self, callback: Callable[[str, Any], Any], kind: str, data: Any) -> None:
        try:
            result = callback(kind, data)
            if inspect.isawaitable(result):
                await result
        except Exception:
            fields = {"session": self._session_id, "type": kind}
            _log.exception("message handler failed", extra=fields)

    def _refuse(self, message: wire.AppMessage, code: ErrorCode, reason: str) -> None:
        if self._may_answer():
            self._port.emit_error(
                wire.ErrorCode.ValueType(code.value),
                reason[:_MAX_REASON_CHARS],
                subject=message.request_id,
            )


def _digits(data: Any) -> object:
    return cast("dict[str, Any]", data).get("digits") if isinstance(data, dict) else None
