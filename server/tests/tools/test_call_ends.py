"""Whatever order things happen in, every tool call has one id and one end."""

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import OnInterruption
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.tools.client_tools import SessionTools
from voxwire_server.tools.values import Outcome, ServerCall

VERBS = (
    *("call", "client", "server", "foreign end", "abandon"),
    *("accept", "answer", "forge", "withdraw", "cancel"),
    *("interrupt", "lose", "resume", "wait", "wait long"),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.integers(0, 3), st.sampled_from(list(OnInterruption))),
    max_size=60,
)
NAMES = ("ask", "run", "search")
CLIENT = ToolSpec("ask", "", {"type": "object"}, timeout_ms=3_000)
SERVER = ToolSpec("run", "", {"type": "object"}, timeout_ms=3_000)


class Schedule:
    """A model, its tools and a client, as a list of steps drives them."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.tools = SessionTools(self.port)
        self.waits: list[asyncio.Task[Outcome]] = []

    def step(self, verb: str, number: int, policy: OnInterruption) -> None:
        calls, model_id = self.tools.calls, f"c{number % 2}"
        requests = self.port.of("tool_request")
        request = requests[-1 - number % len(requests)] if requests else wire.ToolRequest()
        match verb:
            case "call":
                calls.called(model_id, NAMES[number % 3], {}, response_id="r")
            case "client":
                self._begin(self.tools.runner.run_client(model_id, CLIENT, {}, policy=policy))
            case "server":
                self._begin(self.tools.runner.run_server(model_id, SERVER, {}, self._work))
            case "foreign end":
                done = wire.ToolOutcome.TOOL_OUTCOME_DONE
                calls.ended_elsewhere(model_id, NAMES[number % 3], done)
            case "abandon" if self.waits:
                self.waits[number % len(self.waits)].cancel()
            case "accept":
                self._say(tool_accepted=wire.ToolAccepted(call_id=request.call_id))
            case "answer" | "forge":
                token = request.call_token if verb == "answer" else b"x" * 16
                result = wire.ToolResult(call_id=request.call_id, call_token=token)
                result.result_json = f'"{verb}"'
                self._say(tool_result=result)
            case "withdraw":
                self._say(tool_cancel=wire.ToolCancel(call_id=request.call_id))
            case "cancel":
                calls.cancel(request.call_id, "enough")
            case "interrupt":
                calls.interrupted()
            case "lose":
                calls.on_lost()
            case "resume":
                calls.on_resumed()
            case _:
                pass

    def _say(self, **payload: object) -> None:
        self.tools.on_message(wire.Envelope(**payload))  # type: ignore[arg-type]

    def _begin(self, running: object) -> None:
        self.waits.append(asyncio.ensure_future(running))  # type: ignore[arg-type]

    @staticmethod
    async def _work(_: ServerCall) -> str:
        await asyncio.sleep(0.5)
        return "work"

    def check(self) -> None:
        started = Counter(m.call_id for m in self.port.of("tool_call_started"))
        ended = Counter(m.call_id for m in self.port.of("tool_call_ended"))
        assert set(started.values()) <= {1}
        assert set(ended.values()) <= {1}
        assert set(ended) <= set(started)
        shown = {m.call_id for m in self.tools.reports.open_calls()}
        assert shown == set(started) - set(ended)
        for wait in self.waits:
            if wait.done() and not wait.cancelled():
                assert wait.result().value != "forge"


@given(STEPS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@in_virtual_time
async def test_every_call_ends_once(
    steps: list[tuple[str, int, OnInterruption]], time: VirtualTime
) -> None:
    schedule = Schedule()
    for verb, number, policy in steps:
        schedule.step(verb, number, policy)
        await time.advance({"wait": 400, "wait long": 2_500}.get(verb, 0))
        schedule.check()
    await time.advance(4_000)
    schedule.check()
    assert all(wait.done() for wait in schedule.waits)
    tokens = {(m.call_id, m.call_token) for m in schedule.port.of("tool_request")}
    assert len({call_id for call_id, _ in tokens}) == len(tokens)
    for _ in steps:  # what is left was begun by nobody here: the pipeline's word ends it
        for model_id in ("c0", "c1"):
            for name in NAMES:
                done = wire.ToolOutcome.TOOL_OUTCOME_DONE
                schedule.tools.calls.ended_elsewhere(model_id, name, done)
    schedule.check()
    assert schedule.tools.reports.open_calls() == []
