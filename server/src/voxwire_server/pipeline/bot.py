"""What a bot's function is given: a session as a bot author sees it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.runner import WorkerRunner

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_protocol.json_text import JsonTextError, load_json
from voxwire_protocol.tools import OnInterruption
from voxwire_server.outgoing import app_json, sendable
from voxwire_server.pipeline.bot_tools import client_schema, server_schema
from voxwire_server.pipeline.events import EventStream
from voxwire_server.pipeline.idle_voice import IDLE_SECS
from voxwire_server.pipeline.phone import Phone
from voxwire_server.pipeline.transport import SessionInput, SessionTransport
from voxwire_server.pipeline.wires import Wires
from voxwire_server.tools.values import InterruptedTool, LateResult, ToolProgress

__all__ = ["Bot", "BotSession", "ToolReport", "run_bot"]


_MAX_STATE_BYTES: Final = 16_384
EventT = TypeVar("EventT")


class ToolReport:
    """How much of a tool call the client sees (``BotSession.report_tools``)."""

    HIDDEN = wire.ToolReportLevel.TOOL_REPORT_LEVEL_HIDDEN
    NAME = wire.ToolReportLevel.TOOL_REPORT_LEVEL_NAME
    ARGUMENTS = wire.ToolReportLevel.TOOL_REPORT_LEVEL_ARGUMENTS
    FULL = wire.ToolReportLevel.TOOL_REPORT_LEVEL_FULL


class BotSession:
    """One conversation, for the bot that holds it.

    Build a Pipecat pipeline between :meth:`input` and :meth:`output` and :meth:`run` it; or run a
    pipeline of your own on :attr:`transport`, an ordinary Pipecat transport.
    """

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self.transport = SessionTransport(wires)
        self._worker: PipelineWorker | None = None
        self._state = "" if wires.kept is None else wires.kept.state

    @property
    def worker(self) -> PipelineWorker | None:
        """The pipeline's worker, once :meth:`run` has begun, or a pipeline of your own."""
        return self._worker or self.transport.worker

    @property
    def id(self) -> str:
        """Names the session."""
        return self._wires.session_id

    @property
    def metadata(self) -> dict[str, Any]:
        """What the client sent with its Hello; {} when it is no JSON object, or nested too deep."""
        try:
            data = load_json(self._wires.facts.metadata_json or "{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    @property
    def phone(self) -> Phone | None:
        """The telephone call that the session is; None = its client is a program."""
        call = self._wires.facts.phone
        return None if call is None else Phone(call, self._wires)

    @property
    def restored(self) -> bool:
        """True when this process goes on with a conversation that another one had.

        The context has what was said, as the user heard it; calls of tools that ran then stand in
        it as ``LOST``. Neither ``on_ready`` nor ``on_client_connected`` is called.
        """
        return self._wires.kept is not None

    @property
    def state(self) -> Any:
        """What the bot has kept of its own, to go on with in another process; None = nothing.

        Set it to anything that is JSON, 16 KB at most: it is written whole, behind the
        conversation.

        Raises:
            ValueError: It is no JSON, or more.
        """
        return json.loads(self._state) if self._state else None

    @state.setter
    def state(self, value: Any) -> None:
        text = json.dumps(value, allow_nan=False)
        if len(text) > _MAX_STATE_BYTES:
            raise ValueError(f"a session's state is at most {_MAX_STATE_BYTES} bytes of JSON")
        self._state = text
        self._wires.keep(text)

    def input(self) -> SessionInput:
        """The pipeline's first processor: the user's voice and text."""
        return self.transport.input()

    def output(self) -> FrameProcessor:
        """The processor that speaks to the user."""
        return self.transport.output()

    def report_tools(self, level: wire.ToolReportLevel, *names: str) -> None:
        """Set how much of the named tools' calls the client sees; without names, of all others."""
        for name in names or ("*",):
            self._wires.tools.reports.levels[name] = level

    def client_tools(
        self,
        allow: Iterable[str] = (),
        *,
        timeout_ms: int = 0,
        on_interruption: OnInterruption | str | None = None,
    ) -> list[FunctionSchema]:
        """Tools that the client runs, for ``LLMContext(tools=[...])``.

        A tool is offered when the client declared it at connect *and* its name is allowed here;
        its description and schema are the client's words and become part of the prompt.

        Args:
            allow: Names that a client may bring.
            timeout_ms: Longest run of a call; 0 = what the tool says, or 10 s.
            on_interruption: ``"cancel"`` withdraws a running call when the bot is interrupted,
                ``"finish"`` lets it run and tells the model later, ``"ask"`` asks
                :meth:`on_tool_interrupted`; None = what the tool says, or ``"cancel"``.

        Returns:
            Their schemas; each brings its handler along.
        """
        tools = self._wires.tools
        policy = None if on_interruption is None else OnInterruption(on_interruption)
        schemas: list[FunctionSchema] = []
        for name in dict.fromkeys(allow):
            spec = tools.declared.get(name)
            if spec is None:
                continue
            try:
                schema = client_schema(tools, spec, timeout_ms=timeout_ms, on_interruption=policy)
            except ValueError as error:
                tools.refuse_declared(name, str(error))
            else:
                schemas.append(schema)
        return schemas

    def tool(
        self,
        function: Any,
        *,
        timeout_ms: int = 10_000,
        on_interruption: OnInterruption | str = "cancel",
        report: wire.ToolReportLevel | None = None,
        once: bool = False,
    ) -> FunctionSchema:
        """A tool of this server under the session's rules, for ``LLMContext(tools=[...])``.

        Its arguments are checked, its deadline is always armed, and it ends exactly once.

        Args:
            function: An async function, a Pipecat direct function, or a ``FunctionSchema`` that
                carries its handler. A function that is not async runs on the event loop.
            timeout_ms: Longest run of a call, milliseconds.
            on_interruption: As for :meth:`client_tools`.
            report: How much of its calls the client sees (:class:`ToolReport`).
            once: Before a call runs it is written down where all processes of the service look, 200
                ms at most; when that cannot be, it is not run and ends as failed. So a process
                that was taken for dead runs none beside the one that has the session then.

        Raises:
            ValueError: No tool can be made of it; the text says why.
        """
        tools = self._wires.tools
        policy = OnInterruption(on_interruption)
        schema = server_schema(
            tools, function, timeout_ms=timeout_ms, on_interruption=policy, once=once
        )
        tools.reserve(schema.name)
        if report is not None:
            self.report_tools(report, schema.name)
        return schema

    def cancel_tool(self, call_id: str, reason: str = "the bot withdrew it") -> None:
        """Withdraw a call, by the id that hooks and the client know; nothing when it has ended."""
        self._wires.tools.calls.cancel(call_id, reason)

    def on_late_result(self, callback: Callable[[LateResult], Any]) -> None:
        """Have results told that come after their call had ended; the model never sees those."""
        self._wires.tools.on_late = callback

    def on_tool_progress(self, callback: Callable[[ToolProgress], Any]) -> None:
        """Have told what clients say about calls that run."""
        self._wires.tools.on_progress = callback

    def on_tool_interrupted(self, callback: Callable[[InterruptedTool], Any]) -> None:
        """Decide about calls under the policy ``"ask"``: return True to withdraw the call.

        The callback may be a coroutine function; meanwhile the call runs on, under its deadline.
        """
        self._wires.tools.on_interrupted = callback

    def aggregators(
        self, context: LLMContext, **user_params: Any
    ) -> tuple[LLMUserAggregator, LLMAssistantAggregator]:
        """The pair that keeps ``context``, with VAD and turn taking set for low latency.

        Silero VAD shared by all sessions (start 0.2 s, over the telephone 0.1 s and however loud;
        stop 0.2 s, confidence 0.7), the turn ends when speech does. Every default can be replaced
        through ``user_params`` (``LLMUserAggregatorParams``).
        """
        from pipecat.turns.user_start import VADUserTurnStartStrategy
        from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
        from pipecat.turns.user_turn_strategies import UserTurnStrategies

        from voxwire_server.pipeline.vad.analyzer import PHONE_PARAMS, BatchedSileroVADAnalyzer

        user_params.setdefault(
            "user_turn_strategies",
            UserTurnStrategies(
                start=[VADUserTurnStartStrategy()],
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)],
            ),
        )
        user_params.setdefault("audio_idle_timeout", IDLE_SECS)
        if "vad_analyzer" not in user_params:
            params = None if self.phone is None else PHONE_PARAMS
            user_params["vad_analyzer"] = BatchedSileroVADAnalyzer(params=params)
        pair = LLMContextAggregatorPair(context, user_params=LLMUserAggregatorParams(**user_params))
        return pair.user(), pair.assistant()

    async def run(
        self,
        processors: Sequence[FrameProcessor],
        *,
        params: PipelineParams | None = None,
        on_ready: Callable[[PipelineWorker], Awaitable[None]] | None = None,
        on_restored: Callable[[PipelineWorker], Awaitable[None]] | None = None,
    ) -> None:
        """Run a pipeline of ``processors`` until the session ends.

        Args:
            processors: From :meth:`input` to the assistant aggregator.
            params: Pipecat's pipeline parameters; the sample rates are the session's.
            on_ready: Called once when the pipeline has started, for a greeting. What it raises
                ends the pipeline, and is raised here.
            on_restored: The same, in its place, when another process had the session before.

        Cancel-safe: a cancelled run ends the pipeline and leaves nothing behind.
        """
        params = params or PipelineParams(enable_metrics=True, enable_usage_metrics=True)
        params = params.model_copy(
            update={
                "audio_in_sample_rate": self._wires.audio_in_sample_rate,
                "audio_out_sample_rate": self._wires.audio_out_sample_rate,
            }
        )
        worker = PipelineWorker(
            Pipeline(list(processors)),
            params=params,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_on_idle_timeout=False,
            check_dangling_tasks=False,
        )
        self._worker = worker
        failures: list[Exception] = []
        ready = on_restored if self.restored else on_ready
        if ready is not None:

            @worker.event_handler("on_pipeline_started")
            async def _(worker: PipelineWorker, _frame: Any) -> None:
                try:
                    await ready(worker)
                except Exception as error:  # Pipecat would only log it
                    failures.append(error)
                    await worker.cancel(reason="on_ready failed")

        tasks = TaskManager(loop=asyncio.get_running_loop())
        runner = WorkerRunner(handle_sigint=False, task_manager=tasks, check_dangling_tasks=False)
        await runner.add_workers(worker)
        self.transport.begins()
        try:
            await runner.run()
        finally:
            self.transport.events.close()
            for left in tasks.current_tasks():  # of one that was cancelled as it ended
                left.cancel()
        if failures:
            raise failures[0]

    async def say(self, text: str) -> None:
        """Speak ``text`` as it is; it becomes part of the conversation."""
        from pipecat.frames.frames import TTSSpeakFrame

        if self.worker is not None:
            await self.worker.queue_frame(TTSSpeakFrame(sendable(text)))

    async def end(self) -> None:
        """End the session when everything said so far is heard."""
        await self.transport.end()

    def events(self, *types: type[EventT]) -> EventStream[EventT]:
        """What happens from now on: ``async for word in session.events(BotWord)``.

        The events of ``voxwire_protocol.events`` as a client has them, whatever the client is, a
        telephone too: what the user said, what the bot says, calls of tools, errors. A ``BotWord``
        comes when the user hears it, as far as the server knows; of one that was cut before,
        nothing does. A ``StateChanged`` comes when it is known; its ``media_ms`` says when it is.

        Args:
            types: Classes of events; none = all of them.

        Returns:
            An async iterator, for one task, that ends with the bot's pipeline.
        """
        return self.transport.events.stream(types)

    def send(self, kind: str, data: Any) -> None:
        """Send a message of the application to the client (``AppMessage``).

        Args:
            kind: Its type.
            data: Anything that JSON can hold, at most 384 KiB of it.

        Raises:
            VoxwireError: INVALID_ARGUMENT or TOO_LARGE; nothing is sent then.
        """
        try:
            text = app_json(data)
        except JsonTextError as error:
            large = error.code is ErrorCode.TOO_LARGE
            code = error.code if large else ErrorCode.INVALID_ARGUMENT
            raise make_error(code, f"a message {kind!r} cannot be sent: {error.reason}") from error
        self._wires.port.emit(app_message=wire.AppMessage(type=sendable(kind), data_json=text))

    def on_message(self, callback: Callable[[str, Any], Any]) -> None:
        """Have messages of the client's program told: their type and data.

        Args:
            callback: Called with both; may be a coroutine function. What it raises is logged.
        """
        self._wires.requests.on_message = callback

    def on_request(self, method: str, callback: Callable[[Any], Any]) -> None:
        """Answer a request of the client's program (``client.call`` in the browser).

        Args:
            method: Its name.
            callback: Called with the data; what it returns is the answer, of anything that JSON
                can hold. It may be a coroutine function. A ``VoxwireError`` that it raises is
                told to the client; anything else is logged, and the client is told ``INTERNAL``.
        """
        self._wires.requests.handlers[method] = callback

    async def request(self, method: str, data: Any = None, *, timeout_ms: int = 10_000) -> Any:
        """Ask something of the client's program (``client.handle`` in the browser). Cancel-safe.

        Returns:
            Its answer, decoded.

        Raises:
            VoxwireError: The error that it answered, or TIMEOUT.
        """
        return await self._wires.requests.ask(method, data, timeout_ms)


Bot = Callable[[BotSession], Awaitable[None]]
"""A bot: an async function that holds one conversation."""


async def run_bot(bot: Bot, session: BotSession) -> None:
    """Run a bot until it ends.

    Cancelled while the bot's pipeline starts, it lets it start, and ends it, within 4 s: Pipecat,
    cancelled while it sets processors up, leaves their tasks behind. Otherwise, and when it is
    cancelled again, it cancels the bot and waits until that has ended.
    """
    running = asyncio.ensure_future(bot(session))
    try:
        await asyncio.wait({running})
    finally:
        if not running.done():
            await _leave(running, session.transport)
        session.transport.events.close()
    await running


_LEAVE_SECS = 1.0
"""How long a pipeline that was ended as it started may take before its bot is cancelled."""


async def _leave(running: "asyncio.Future[None]", transport: SessionTransport) -> None:
    try:
        if await transport.end_starting():
            await asyncio.wait({running}, timeout=_LEAVE_SECS)
    finally:
        running.cancel()
        await asyncio.wait({running})
