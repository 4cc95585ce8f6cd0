"""Between a bot's own RTVI and its session: protocol/spec/rtvi.md, "A bot's own RTVI"."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frameworks.rtvi import (
    RTVIFunctionCallReportLevel,
    RTVIObserver,
    RTVIObserverParams,
    RTVIProcessor,
)

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_server.control.rtvi_told import TOLD_BY_SESSION
from voxwire_server.conversation.requests import Requests
from voxwire_server.pipeline.bot_rtvi import BotRtvi


class Around:
    """As much of a session as it needs."""

    def __init__(self) -> None:
        self.sent: list[wire.AppMessage] = []
        self.errors: list[tuple[str, str]] = []
        self.heard: list[dict[str, Any]] = []
        self.taken: list[wire.AppMessage] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.levels: dict[str, Any] = {}
        self.requests: Any = SimpleNamespace(relay=None, take=self.take)
        port = SimpleNamespace(emit=self.emit, emit_error=self.error, spawn=self.spawn)
        self.wires: Any = SimpleNamespace(
            port=port,
            requests=self.requests,
            session_id="s1",
            facts=SimpleNamespace(client=wire.ClientInfo(library="page", platform="moon")),
            tools=SimpleNamespace(reports=SimpleNamespace(levels=self.levels)),
        )
        self.rtvi = BotRtvi(self.wires, hear=self.hear)

    def emit(self, *, app_message: wire.AppMessage) -> None:
        self.sent.append(app_message)

    def error(self, code: Any, reason: str, *, subject: str) -> None:
        self.errors.append((reason, subject))

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def take(self, message: wire.AppMessage) -> None:
        if self.requests.relay is not None:
            self.requests.relay(message, json.loads(message.data_json or "null"))
        else:
            self.taken.append(message)

    async def hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    async def settled(self) -> None:
        await asyncio.gather(*self.tasks)

    def tell(self, kind: str, data: Any = None, message_id: str | None = None) -> None:
        self.rtvi.tell({"label": "rtvi-ai", "type": kind, "data": data, "id": message_id})

    @property
    def told(self) -> tuple[str, Any, str, bool]:
        """The one message that was sent."""
        [m] = self.sent
        return m.type, json.loads(m.data_json), m.request_id, m.response


def worker(*processors: Any, observers: list[Any]) -> Any:
    inner = SimpleNamespace(_observers=observers)
    return SimpleNamespace(pipeline=Pipeline(list(processors)), _observer=inner)


def meet(around: Around, **levels: RTVIFunctionCallReportLevel) -> None:
    """Start a pipeline that has RTVI."""
    processor = RTVIProcessor()
    params = RTVIObserverParams(function_call_report_level=levels) if levels else None
    around.rtvi.begin(worker(processor, observers=[RTVIObserver(processor, params=params)]))


@pytest.mark.parametrize("kind", sorted(TOLD_BY_SESSION))
def test_what_the_session_tells_is_dropped(kind: str) -> None:
    around = Around()
    around.tell(kind, {"text": "x"})
    assert (around.sent, around.errors) == ([], [])


@pytest.mark.parametrize(
    ("kind", "data", "message_id", "told"),
    [
        ("server-message", {"t": "note", "d": [1]}, None, ("note", [1], "", False)),
        ("server-message", {"t": "note"}, None, ("note", None, "", False)),
        ("server-message", {"t": 1}, None, ("server-message", {"t": 1}, "", False)),
        ("server-message", "x", None, ("server-message", "x", "", False)),
        ("server-response", {"t": "add", "d": 6}, "r1", ("add", 6, "r1", True)),
        ("server-response", {"t": "add", "d": 6}, "voxwire-1", ("add", 6, "", False)),
    ],
)
def test_its_messages_and_answers_are_those_of_the_application(
    kind: str, data: Any, message_id: str | None, told: Any
) -> None:
    around = Around()
    around.tell(kind, data, message_id)
    assert around.told == told


def test_what_is_none_of_these_goes_as_it_is() -> None:
    for message in ({"any": "thing"}, "text", {"label": "rtvi-ai", "type": "ui-command"}):
        around = Around()
        around.rtvi.tell(message)
        assert around.told == ("pipecat", message, "", False)


def test_an_error_that_was_told_is_not_told_again_and_another_is() -> None:
    around = Around()
    around.rtvi.failed("tired")
    for _ in range(2):
        around.tell("error", {"error": "tired"})
    around.tell("error-response", {"error": "no"}, "r1")
    around.tell("error-response", {"error": "no"}, "voxwire-1")
    assert around.errors == [("tired", ""), ("no", "r1"), ("no", "")]


async def test_a_bot_with_rtvi_is_met_by_a_ready_client() -> None:
    around = Around()
    meet(around)
    await around.settled()
    [ready] = around.heard
    about = {"library": "page", "platform": "moon"}
    assert (ready["type"], ready["data"]) == ("client-ready", {"version": "2.2.0", "about": about})


async def test_what_came_before_the_pipeline_comes_behind_that_and_in_order() -> None:
    around = Around()
    around.rtvi.expect()
    for number in range(66):
        around.take(wire.AppMessage(type="n", data_json=str(number), request_id=f"r{number}"))
    reason = "too many messages wait for the bot to start"
    assert around.errors == [(reason, "r64"), (reason, "r65")]
    meet(around)
    await around.settled()
    assert [m["type"] for m in around.heard] == ["client-ready", *64 * ["client-message"]]
    assert [m["data"] for m in around.heard[1:]] == [{"t": "n", "d": n} for n in range(64)]
    assert [m["id"] for m in around.heard[1:]] == [f"r{n}" for n in range(64)]


async def test_without_rtvi_it_goes_where_it_went() -> None:
    around = Around()
    around.rtvi.expect()
    asked = wire.AppMessage(type="n", data_json="1", request_id="r1")
    around.take(wire.AppMessage(type="n", data_json="0"))  # on_message was told it already
    around.take(asked)
    around.rtvi.begin(worker(observers=[]))
    assert around.taken == [asked]
    assert around.requests.relay is None
    assert not around.heard


@pytest.mark.parametrize("has_rtvi", [False, True])
async def test_on_message_is_told_once_what_came_before_the_pipeline(has_rtvi: bool) -> None:
    around, told = Around(), []
    port = FakePort()
    requests = Requests(port, session_id="s", press=lambda _: None, may_answer=lambda: True)
    requests.on_message = lambda kind, data: told.append((kind, data))
    around.requests = around.wires.requests = requests
    around.rtvi.expect()
    requests.take(wire.AppMessage(type="n", data_json="1"))
    if has_rtvi:
        meet(around)
    else:
        around.rtvi.begin(worker(observers=[]))
    await around.settled()
    await port.settle()
    assert told == [("n", 1)]
    assert [m["data"] for m in around.heard[1:]] == ([{"t": "n", "d": 1}] if has_rtvi else [])


@pytest.mark.parametrize("kind", ["ui-event", "ui-snapshot", "ui-cancel-job-group"])
async def test_what_a_page_s_interface_reports_is_passed_on_whole(kind: str) -> None:
    around = Around()
    message = {"label": "rtvi-ai", "type": kind, "id": "u1", "data": {"x": 1}}
    around.rtvi.take(wire.AppMessage(type="rtvi-ai"), message)
    await around.settled()
    assert [(m["type"], m["data"]) for m in around.heard] == [(kind, {"x": 1})]


@pytest.mark.parametrize(
    "kind", ["llm-function-call-result", "send-text", "raw-audio", "dtmf", "disconnect-bot"]
)
async def test_no_other_message_of_rtvi_can_be_made_of_the_application_s(kind: str) -> None:
    around = Around()
    message = {"label": "rtvi-ai", "type": kind, "data": {}}
    around.rtvi.take(wire.AppMessage(type="rtvi-ai"), message)
    await around.settled()
    assert [m["type"] for m in around.heard] == ["client-message"]


async def test_what_an_observer_was_told_to_hide_and_the_session_tells_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor = RTVIProcessor()
    params = RTVIObserverParams(
        bot_llm_enabled=False, skip_text_types=["code"], stt_raw_text_enabled=True
    )
    around = Around()
    around.rtvi.begin(worker(processor, observers=[RTVIObserver(processor, params=params)]))
    await around.settled()
    [record] = caplog.records
    assert record.getMessage() == (
        "RTVIObserverParams of no effect, the session tells all the same: bot_llm_enabled,"
        " skip_text_types"
    )


async def test_calls_are_shown_as_far_as_the_observer_would() -> None:
    level, ours = RTVIFunctionCallReportLevel, wire.ToolReportLevel
    around = Around()
    around.levels["own"] = ours.TOOL_REPORT_LEVEL_FULL  # the bot has said so already
    meet(around, own=level.NONE, a=level.NAME, b=level.ARGUMENTS, c=level.FULL, d=level.DISABLED)
    await around.settled()
    assert around.levels == {
        "*": ours.TOOL_REPORT_LEVEL_HIDDEN,
        "own": ours.TOOL_REPORT_LEVEL_FULL,
        "a": ours.TOOL_REPORT_LEVEL_NAME,
        "b": ours.TOOL_REPORT_LEVEL_ARGUMENTS,
        "c": ours.TOOL_REPORT_LEVEL_FULL,
        "d": ours.TOOL_REPORT_LEVEL_HIDDEN,
    }
