"""Messages and requests of the application, on the side of a `FakeSession`."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

__all__ = ["Answers", "Messages", "block_format", "path_close", "wire_error"]

Answers = Mapping[str, Callable[[Any], Any]]
"""Answers the client's requests by their type; what a function raises is an Error."""


def wire_error(code: ErrorCode, reason: str, **more: Any) -> wire.Error:
    """An Error as it is sent; `more` are other fields of it."""
    return wire.Error(code=cast("Any", code.value), reason=reason, **more)


class Messages:
    """What client and bot say to each other beside the conversation."""

    def __init__(self, emit: Callable[..., None], answers: Answers) -> None:
        """Creates it with nothing said.

        Args:
            emit: Sends one payload to the client.
            answers: Answers the client's requests.
        """
        self.came: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        """Messages that ask nothing: type and data."""
        self._emit = emit
        self._answers = answers
        self._requests: dict[str, asyncio.Future[Any]] = {}
        self._number = 0

    def send(self, type: str, data: Any, *, request_id: str = "", response: bool = False) -> None:
        """Sends one."""
        text = json.dumps(data)
        message = wire.AppMessage(
            type=type, data_json=text, request_id=request_id, response=response
        )
        self._emit(app_message=message)

    async def ask(self, type: str, data: Any) -> Any:
        """Asks the client's program and waits for its answer.

        Raises:
            RuntimeError: It answered with an error.
        """
        self._number += 1
        request_id = f"request{self._number}"
        answer = self._requests[request_id] = asyncio.get_running_loop().create_future()
        self.send(type, data, request_id=request_id)
        try:
            return await answer
        finally:
            del self._requests[request_id]

    def take(self, message: wire.AppMessage) -> None:
        """Takes one of the client's."""
        data = json.loads(message.data_json or "null")
        if message.response:
            answer = self._waiting(message.request_id)
            if answer is not None:
                answer.set_result(data)
        elif message.request_id:
            self._answer(message.type, data, message.request_id)
        else:
            self.came.put_nowait((message.type, data))

    def fail(self, error: wire.Error) -> None:
        """The client answers a request with an error."""
        answer = self._waiting(error.subject_id)
        if answer is not None:
            answer.set_exception(RuntimeError(error.reason))

    def _waiting(self, request_id: str) -> asyncio.Future[Any] | None:
        answer = self._requests.get(request_id)
        return None if answer is None or answer.done() else answer

    def _answer(self, type: str, data: Any, request_id: str) -> None:
        function = self._answers.get(type)
        code, reason = ErrorCode.UNSUPPORTED, "the bot answers no such request"
        if function is not None:
            try:
                self.send(type, function(data), request_id=request_id, response=True)
                return
            except Exception as error:
                code, reason = ErrorCode.INTERNAL, str(error)
        self._emit(error=wire_error(code, reason, subject_id=request_id))


def path_close(path_id: int, code: ErrorCode, reason: str) -> wire.PathClose:
    """What gives a media path up."""
    return wire.PathClose(path_id=path_id, code=cast("Any", code.value), reason=reason)


def block_format(sample_rate: int) -> wire.AudioFormat:
    """Mono PCM in blocks of 20 ms."""
    pcm = wire.Codec.CODEC_PCM_S16LE
    return wire.AudioFormat(codec=pcm, sample_rate=sample_rate, num_channels=1, block_ms=20)
