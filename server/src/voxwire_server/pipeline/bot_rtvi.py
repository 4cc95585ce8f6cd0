"""A bot's own RTVI (Pipecat's ``RTVIProcessor`` and ``RTVIObserver``) on a session.

Pipecat's worker puts both around every pipeline. Here the session has told most of what they say
already, by its own taps and at the ear's time, and takes most of what they hear: this is what is
left. To the bot go ``client-ready``, the application's messages and requests, and what a page's
interface reports; from it come its messages, its answers, and its own errors. Nothing that a
client sends becomes a message that writes a context or ends a call (protocol/spec/rtvi.md).
"""

import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any, Final, cast

from pipecat.processors.frameworks.rtvi import RTVIObserver, RTVIObserverParams, RTVIProcessor
from pipecat.processors.frameworks.rtvi.observer import RTVIFunctionCallReportLevel

from voxwire_protocol import rtvi, wire
from voxwire_server.control.rtvi_told import TOLD_BY_SESSION
from voxwire_server.outgoing import app_json, sendable
from voxwire_server.pipeline.output_frames import app_message
from voxwire_server.pipeline.wires import Wires
from voxwire_server.pipeline.words import walk

__all__ = ["BotRtvi"]

_log = logging.getLogger("voxwire.pipeline")

_UNASKED: Final = "voxwire-"
"""Begins the ids of messages that no client waits for an answer to."""
_OF_AN_INTERFACE: Final = frozenset({"ui-event", "ui-snapshot", "ui-cancel-job-group"})
_SERVER_MESSAGE: Final = "server-message"
_LEAVES_OUT: Final = ("ignored_sources", "skip_text_types", "bot_output_transforms")
_KEPT_TROUBLES: Final = 16
_MOST_EARLY: Final = 64
"""Most messages that wait for a pipeline to start."""
_NONE: Final = RTVIFunctionCallReportLevel.NONE
_LEVELS: Final = {
    RTVIFunctionCallReportLevel.DISABLED: wire.ToolReportLevel.TOOL_REPORT_LEVEL_HIDDEN,
    RTVIFunctionCallReportLevel.NONE: wire.ToolReportLevel.TOOL_REPORT_LEVEL_HIDDEN,
    RTVIFunctionCallReportLevel.NAME: wire.ToolReportLevel.TOOL_REPORT_LEVEL_NAME,
    RTVIFunctionCallReportLevel.ARGUMENTS: wire.ToolReportLevel.TOOL_REPORT_LEVEL_ARGUMENTS,
    RTVIFunctionCallReportLevel.FULL: wire.ToolReportLevel.TOOL_REPORT_LEVEL_FULL,
}


class BotRtvi:
    """Passes on what session and client on one side, and a bot's RTVI on the other, need to know.

    Args:
        wires: Of the pipeline to its session.
        hear: Gives a message to the pipeline and to the transport's ``on_app_message``.
    """

    def __init__(self, wires: Wires, *, hear: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._wires = wires
        self._hear = hear
        self._troubles: deque[str] = deque(maxlen=_KEPT_TROUBLES)
        self._early: list[tuple[wire.AppMessage, Any]] = []
        self._outbox: deque[dict[str, Any]] = deque()
        self._passing = False

    def expect(self) -> None:
        """The bot will have RTVI: what the client says before its pipeline has started is kept."""
        self._wires.requests.relay = self._keep

    def begin(self, worker: Any) -> None:
        """The pipeline has started: if it has an ``RTVIProcessor``, the client is ready for it.

        Of what was kept, ``BotSession.on_message`` was told all that asks nothing when it came.
        """
        early, self._early = self._early, []
        requests = self._wires.requests
        requests.relay = None
        if any(isinstance(one, RTVIProcessor) for one in walk([worker.pipeline])):
            self._meet(worker)
        for message, data in early:
            if message.request_id:
                requests.take(message)
            elif requests.relay is not None:
                requests.relay(message, data)

    def _keep(self, message: wire.AppMessage, data: Any) -> None:
        if len(self._early) < _MOST_EARLY:
            self._early.append((message, data))
            return
        self._wires.port.emit_error(
            wire.ErrorCode.ERROR_CODE_RATE_LIMITED,
            "too many messages wait for the bot to start",
            subject=message.request_id,
        )

    def _meet(self, worker: Any) -> None:
        self._report_as(worker)
        self._wires.requests.relay = self.take
        about = self._wires.facts.client
        names = ("library", "library_version", "platform", "platform_version")
        told = {name: value for name in names if (value := getattr(about, name))}
        ready = {"version": str(rtvi.RTVI_VERSION), "about": {"library": "voxwire", **told}}
        self._pass("client-ready", ready, "")

    def _report_as(self, worker: Any) -> None:
        """Calls of tools are told by the session, as much of each as the bot's observer would."""
        # Pipecat has no other way to ask a worker for its observers.
        observers = worker._observer._observers
        for observer in observers:
            if isinstance(observer, RTVIObserver):
                params: RTVIObserverParams = cast(Any, observer)._params
                self._warn_of(params)
                levels = {"*": _NONE, **params.function_call_report_level}
                for name, level in levels.items():
                    self._wires.tools.reports.levels.setdefault(name, _LEVELS[level])

    def _warn_of(self, params: RTVIObserverParams) -> None:
        """What an observer was to leave out, the session tells by itself."""
        usual = RTVIObserverParams()
        off = (f.name for f in fields(params) if getattr(usual, f.name) is True)
        hidden = [name for name in off if not getattr(params, name)]
        hidden += [name for name in _LEAVES_OUT if getattr(params, name)]
        if hidden:
            _log.warning(
                "RTVIObserverParams of no effect, the session tells all the same: %s",
                ", ".join(hidden),
                extra={"session": self._wires.session_id},
            )

    # to the bot

    def take(self, message: wire.AppMessage, data: Any) -> None:
        """A message or a request of the client's program, for the bot."""
        if message.type == rtvi.LABEL and isinstance(data, dict):
            whole = cast("dict[str, Any]", data)
            if whole.get("type") in _OF_AN_INTERFACE:
                self._pass(str(whole["type"]), whole.get("data"), message.request_id)
                return
        self._pass("client-message", {"t": message.type, "d": data}, message.request_id)

    def _pass(self, kind: str, data: Any, request_id: str) -> None:
        message_id = request_id or _UNASKED + secrets.token_hex(6)
        message = {"label": rtvi.LABEL, "type": kind, "id": message_id, "data": data}
        self._outbox.append(message)
        if not self._passing:
            self._passing = True
            self._wires.port.spawn(self._pass_on())

    async def _pass_on(self) -> None:
        """One after the other, in the order in which they came."""
        while self._outbox:
            await self._hear(self._outbox.popleft())
        self._passing = False

    # from the bot

    def failed(self, error: str) -> None:
        """The client was told of a service's error; the same of the bot's RTVI is not news."""
        self._troubles.append(error)

    def tell(self, message: Any) -> None:
        """Send what the bot sends as a message of its transport, unless the session says the same.

        Raises:
            JsonTextError: It cannot be sent.
        """
        kind, data, message_id = _rtvi_of(message)
        emit = self._wires.port.emit
        if kind in TOLD_BY_SESSION:
            return
        if kind == _SERVER_MESSAGE and _is_named(data):
            emit(app_message=_named(data))
        elif kind == _SERVER_MESSAGE:
            emit(app_message=wire.AppMessage(type=_SERVER_MESSAGE, data_json=app_json(data)))
        elif kind == "server-response" and _is_named(data):
            answer = _named(data)
            if not message_id.startswith(_UNASKED):
                answer.request_id, answer.response = message_id, True
            emit(app_message=answer)
        elif kind in ("error", "error-response"):
            self._trouble(kind, _error_of(data), message_id)
        else:
            emit(app_message=app_message(message))

    def _trouble(self, kind: str, reason: str, message_id: str) -> None:
        if kind == "error" and reason in self._troubles:
            self._troubles.remove(reason)
            return
        answers = kind == "error-response" and not message_id.startswith(_UNASKED)
        self._wires.port.emit_error(
            wire.ErrorCode.ERROR_CODE_SERVICE_FAILED,
            sendable(reason),
            subject=message_id if answers else "",
        )


def _rtvi_of(message: Any) -> tuple[str, Any, str]:
    """Type, data and id of a message, if it is one of RTVI."""
    if not isinstance(message, dict):
        return "", None, ""
    members = cast("dict[str, Any]", message)
    if members.get("label") != rtvi.LABEL:
        return "", None, ""
    return str(members.get("type")), members.get("data"), str(members.get("id") or "")


def _is_named(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    members = cast("dict[str, Any]", data)
    return isinstance(members.get("t"), str) and members.keys() <= {"t", "d"}


def _named(data: dict[str, Any]) -> wire.AppMessage:
    return wire.AppMessage(type=sendable(data["t"]), data_json=app_json(data.get("d")))


def _error_of(data: Any) -> str:
    return str(cast("dict[str, Any]", data).get("error", "")) if isinstance(data, dict) else ""
