"""What our client says, as a stock bot understands it. Pure."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, code_from_wire
from voxwire_protocol.json_text import load_json
from voxwire_protocol.rtvi.calls import TakenCalls
from voxwire_protocol.rtvi.message import LABEL, RtviError, RtviMessage, message_of
from voxwire_protocol.rtvi.version import RTVI_VERSION, Version

__all__ = ["BotRequests"]

_V11: Final = Version(1, 1)
_V20: Final = Version(2, 0)
_V21: Final = Version(2, 1)
_V22: Final = Version(2, 2)


class BotRequests:
    """Writes what a client asks of a stock bot.

    Args:
        calls: The bot's open tool calls.
        new_id: Makes the id of a message; unique in the session.
    """

    def __init__(self, calls: TakenCalls, *, new_id: Callable[[], str]) -> None:
        self._calls = calls
        self._new_id = new_id

    def write(self, envelope: wire.Envelope, *, version: Version | None) -> list[RtviMessage]:
        """What the bot is told of an envelope; nothing of media, signaling and delivery.

        Args:
            envelope: As our client sends it.
            version: What the bot speaks; None = not known: then as the newest.

        Raises:
            RtviError: UNSUPPORTED: the bot has no message for it (an interruption), or speaks a
                version that has none. Nothing is made up in its place.
        """
        spoken = version or RTVI_VERSION
        match envelope.WhichOneof("payload"):
            case "hello":
                return [self.client_ready(envelope.hello.client)]
            case "send_text":
                return [self._send_text(envelope.send_text, spoken)]
            case "app_message":
                return self._app_message(envelope.app_message, spoken)
            case "tool_result":
                return self._tool_result(envelope.tool_result)
            case "tool_cancel":
                error = {"code": "cancelled", "message": envelope.tool_cancel.reason}
                return self._result(envelope.tool_cancel.call_id, {"error": error})
            case "bye":
                return [self._request("disconnect-bot", {})]
            case "interrupt":
                raise _unsupported("that interrupts it")
            case _:
                return []

    def client_ready(self, client: wire.ClientInfo) -> RtviMessage:
        """The first message, once the carrier is up; a bot answers each with ``bot-ready``."""
        about = {
            field.name: getattr(client, field.name)
            for field in client.DESCRIPTOR.fields
            if getattr(client, field.name)
        }
        about.setdefault("library", "voxwire")
        return self._request("client-ready", {"version": str(RTVI_VERSION), "about": about})

    def send_file(
        self,
        text: str,
        *,
        media_type: str,
        name: str = "",
        data: bytes | None = None,
        url: str = "",
        version: Version | None,
        run_immediately: bool = True,
        audio_response: bool = True,
    ) -> RtviMessage:
        """A file for the model, by value or by address (``send-file``).

        The message may be a third larger than the bytes; whether the carrier takes it is the
        caller's question.

        Raises:
            RtviError: UNSUPPORTED: the bot speaks a version before 2.2.
        """
        if (version or RTVI_VERSION) < _V22:
            raise _unsupported("to take files (RTVI 2.2)")
        source = {"type": "url", "url": url}
        if data is not None:
            source = {"type": "bytes", "bytes": base64.b64encode(data).decode()}
        file: dict[str, Any] = {"format": media_type, "source": source}
        if name:
            file["name"] = name
        said: dict[str, Any] = {"content": text, "file": file}
        if not (run_immediately and audio_response):
            options = {"run_immediately": run_immediately, "audio_response": audio_response}
            said["options"] = options
        return self._request("send-file", said)

    def _send_text(self, message: wire.SendText, version: Version) -> RtviMessage:
        run = message.run_immediately if message.HasField("run_immediately") else True
        audio = message.audio_response if message.HasField("audio_response") else True
        if version < _V11:
            said = {"role": "user", "content": message.text, "run_immediately": run}
            return self._request("append-to-context", said)
        options = {"run_immediately": run, "audio_response": audio}
        return self._request("send-text", {"content": message.text, "options": options})

    def _app_message(self, message: wire.AppMessage, version: Version) -> list[RtviMessage]:
        data: object = _value(message.data_json or "null")
        if message.response:
            raise _unsupported("to ask the client, so that there is nothing to answer")
        if message.type == LABEL and (raw := message_of(data)) is not None:
            return [raw if raw.id is not None else replace(raw, id=self._new_id())]
        digits = cast("dict[str, Any]", data).get("digits") if isinstance(data, dict) else None
        if message.type == "dtmf" and not message.request_id and isinstance(digits, str):
            return self._keys(digits, version)
        said: dict[str, Any] = {"t": message.type, "d": cast("object", data)}
        return [self._request("client-message", said, message.request_id)]

    def _keys(self, digits: str, version: Version) -> list[RtviMessage]:
        if version >= _V21:
            return [self._request("dtmf", {"buttons": list(digits)})]
        if version < _V20:
            raise _unsupported("to take keys (RTVI 2.0)")
        return [self._request("dtmf", {"button": key}) for key in digits]

    def _tool_result(self, message: wire.ToolResult) -> list[RtviMessage]:
        if message.WhichOneof("outcome") == "error":
            code = code_from_wire(message.error.code).name.lower()
            return self._result(
                message.call_id, {"error": {"code": code, "message": message.error.reason}}
            )
        result = _value(message.result_json or "null")
        # Pipecat takes an object or a string, nothing else (`LLMFunctionCallResultData`).
        return self._result(
            message.call_id, result if isinstance(result, dict | str) else message.result_json
        )

    def _result(self, call_id: str, result: Any) -> list[RtviMessage]:
        known = self._calls.end(call_id)
        if known is None:
            return []  # the bot has ended the call
        arguments: object = _value(known[1])
        data: dict[str, Any] = {
            "function_name": known[0],
            "tool_call_id": call_id,
            "arguments": arguments if isinstance(arguments, dict) else {},
            "result": result,
        }
        return [self._request("llm-function-call-result", data)]

    def _request(self, kind: str, data: Any, message_id: str = "") -> RtviMessage:
        return RtviMessage(kind, data, message_id or self._new_id())


def _unsupported(what: str) -> RtviError:
    return RtviError(ErrorCode.UNSUPPORTED, f"a stock bot of this version has no message {what}")


def _value(text: str) -> Any:
    """JSON of our own session; what is none is told as text."""
    try:
        return load_json(text)
    except ValueError:
        return text
