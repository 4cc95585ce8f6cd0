"""A Pipecat transport on a session: any pipeline written for stock Pipecat runs on it."""

import asyncio
import logging
from typing import Any, Final

from pipecat.frames.frames import (
    ClientConnectedFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputTransportMessageFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregator
from pipecat.transports.base_transport import BaseTransport, TransportParams

from voxwire_protocol import wire
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.bot_rtvi import BotRtvi
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.events import SessionEvents
from voxwire_server.pipeline.idle_voice import wait_for_voice
from voxwire_server.pipeline.input import SessionInput
from voxwire_server.pipeline.kept_context import aggregators_of, take_over
from voxwire_server.pipeline.output import SessionOutput
from voxwire_server.pipeline.port import RunningPipeline
from voxwire_server.pipeline.taps import Taps
from voxwire_server.pipeline.transport_params import not_served
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.wires import Wires

__all__ = ["SessionInput", "SessionTransport"]

_log = logging.getLogger("voxwire.pipeline")

_START_SECS: Final = 3.0
"""How long a pipeline that is cancelled as it starts may take to have started."""


class SessionTransport(BaseTransport):
    """What a bot builds its pipeline on. It outlives the sockets of its session.

    Args:
        wires: Of the pipeline to its session.
        params: Pipecat's transport parameters; by default audio both ways.

    Events (as Pipecat's transports name them): ``on_client_connected(transport, client)`` when
    the pipeline has started, ``on_client_restored`` instead when it goes on with a session that
    another process had, ``on_client_disconnected(transport, client)`` when the session ends;
    to a bot with RTVI, ``on_app_message(transport, message, sender)`` for what the client's
    program sends, as RTVI has it.
    """

    def __init__(self, wires: Wires, params: TransportParams | None = None) -> None:
        super().__init__()
        self._wires = wires
        self.params = params or TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self._drops = Drops(wires.port, session_id=wires.session_id, may_answer=wires.may_answer)
        self._utterances = Utterances(
            wires.port.emit,
            sample_rate=wires.audio_out_sample_rate,
            dropped=self._drops.tell,
            mark=wires.mark,
        )
        self._began = Alarm()
        self.events = SessionEvents(wires)
        """What happens, for the bot."""
        self.client: Any = wires.facts.client
        """What ``on_client_connected`` is given."""
        self.rtvi = BotRtvi(wires, hear=self._app_message)
        """What is left to say to the bot's own RTVI, and by it."""
        self.taps = Taps(
            wires, drops=self._drops, utterances=self._utterances, interrupt=self._interrupt
        )
        self._aggregators: list[LLMContextAggregator] = []
        self._input: SessionInput | None = None
        self._output: SessionOutput | None = None
        self._running: RunningPipeline | None = None
        self._started = asyncio.Event()
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_restored")
        self._register_event_handler("on_client_disconnected")
        self._register_event_handler("on_app_message")

    def configure(self, params: TransportParams) -> None:
        """Go by the parameters that a bot has for its transport, before it is built upon.

        Raises:
            RuntimeError: Its input or its output is in use.
        """
        if self._input is not None or self._output is not None:
            raise RuntimeError("a session has one transport, and it is in use")
        self.params = params
        if names := not_served(params):
            fields = {"session": self._wires.session_id}
            told = ", ".join(names)
            _log.warning("transport parameters that are not served: %s", told, extra=fields)

    @property
    def worker(self) -> PipelineWorker | None:
        """The worker of the pipeline, once it has started."""
        return self._input.pipeline_worker if self._input and self._started.is_set() else None

    def input(self) -> SessionInput:
        """The input processor."""
        if self._input is None:
            self._input = SessionInput(
                self._wires,
                self.params,
                drops=self._drops,
                upstream=self._upstream,
                preparing=self._pipeline_prepares,
                started=self._pipeline_started,
                name=self._input_name,
            )
        return self._input

    def output(self) -> SessionOutput:
        """The output processor."""
        if self._output is None:
            self._output = SessionOutput(
                self._wires,
                self.params,
                drops=self._drops,
                utterances=self._utterances,
                began=self._began,
                on_its_way=self.taps.on_its_way,
                cut_turn=self.taps.model.cut,
                writing=lambda: self.taps.answering,
                tell=self.rtvi.tell,
                name=self._output_name,
            )
        return self._output

    def get_client_id(self, client: Any) -> str:
        """The session's id: there is one client."""
        return self._wires.session_id

    # the life of the pipeline

    def _pipeline_prepares(self, worker: PipelineWorker) -> None:
        """The pipeline begins to start; nothing in it has connected or heard anything."""
        self._aggregators = aggregators_of([worker.pipeline])
        kept = self._wires.kept
        if self._aggregators and kept is not None and kept.messages is not None:
            take_over(self._aggregators[0].context, kept.messages)
        self.taps.find_live([worker.pipeline])
        wait_for_voice([worker.pipeline])

    def _pipeline_started(self, entry: SessionInput) -> None:
        """The input saw the StartFrame: tap the pipeline and let the client in."""
        self.taps.install(entry.pipeline_worker)
        if self._running is None:
            self._running = RunningPipeline(
                self._wires,
                entry,
                taps=self.taps,
                utterances=self._utterances,
                began=self._began,
                heard=self._heard,
                aggregators=self._aggregators,
                end=self._end,
            )
            self._wires.started(self._running)
        self._started.set()
        self._wires.port.spawn(self._client_connected(entry))

    async def _client_connected(self, entry: SessionInput) -> None:
        told = "on_client_connected" if self._wires.kept is None else "on_client_restored"
        await self._call_event_handler(told, self.client)
        await entry.push_frame(ClientConnectedFrame())
        self.rtvi.begin(entry.pipeline_worker)

    async def _app_message(self, message: dict[str, Any]) -> None:
        if self._input is not None and not self._input.ending:
            await self._input.broadcast_frame(InputTransportMessageFrame, message=message)
            await self._call_event_handler("on_app_message", message, self._wires.session_id)

    def _upstream(self, frame: Frame) -> None:
        self.taps.upstream(frame)
        if isinstance(frame, ErrorFrame):
            self.rtvi.failed(frame.error)

    def _heard(self) -> None:
        if self._output is not None:
            self._output.heard_changed()

    async def _interrupt(self, source: wire.InterruptionSource, *, settle: bool = False) -> None:
        if self._running is not None:
            await self._running.interrupt(source, settle=settle)

    async def _end(self) -> None:
        if self._input is not None and not self._input.ending:
            self._input.ending = True
            await self._call_event_handler("on_client_disconnected", self.client)
            await self._input.pipeline_worker.cancel(reason="session ended")
            self.events.close()

    def begins(self) -> None:
        """The pipeline begins to start."""
        if self._input is not None:
            self._input.prepared = True

    async def end_starting(self) -> bool:
        """End a pipeline that starts just now, once it has started.

        Returns:
            False when none starts, or has started before, or will not have within 3 s.
        """
        if self._input is None or not self._input.prepared or self._started.is_set():
            return False
        try:
            await asyncio.wait_for(self._started.wait(), _START_SECS)
        except TimeoutError:
            return False
        await self._end()
        return True

    async def end(self) -> None:
        """End the pipeline when what was said is heard."""
        if self._running is not None and self._input is not None:
            await self._input.pipeline_worker.queue_frame(EndFrame())
