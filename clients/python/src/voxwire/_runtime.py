"""What runs behind a session: one owner task; when it ends, nothing of the session remains."""

import asyncio
import time
from typing import Any, Final, cast

import numpy as np

from voxwire._control import Control, lost, now_ms
from voxwire._events import EventQueue
from voxwire._opening import Opened, Opening, Options, path_name
from voxwire._path import MediaPath
from voxwire._player import TICK_MS, Player
from voxwire._tool_runner import ToolRunner
from voxwire.audio import Microphone, Speaker
from voxwire_protocol import events, wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import (
    ErrorCode,
    MediaError,
    UsageError,
    VoxwireError,
    error_from_wire,
    make_error,
)
from voxwire_protocol.event_codec import from_envelope

__all__ = ["Runtime"]

HEARTBEAT_MS: Final = 5000
"""Ping interval when the server names none."""

DRAIN_MS: Final = 2000
"""How long audio that was received may still play after the session ended."""

IDLE_TICKS: Final = 3
"""After this many ticks without sound everything has been played."""

BYE_MS: Final = 1000
"""How long the server may take to answer Bye."""

SHUTDOWN_MS: Final = 5000
"""After this, what is left of a session is cancelled."""

TARGET_MS: Final = {wire.Carrier.CARRIER_WEBRTC: 20, wire.Carrier.CARRIER_WEBSOCKET: 40}
"""Delay that the playout buffer starts with; WebRTC has a jitter buffer in front of it."""

_PATH_PAYLOADS: Final = frozenset(
    {"audio", "media_anchor", "path_answer", "path_ready", "path_close"}
)


class _Over(Exception):
    """Ends the task group of a session that ended in order."""


class Runtime:
    """The owner of everything that a session uses: socket, path, player, microphone."""

    def __init__(
        self,
        control: Control,
        options: Options,
        *,
        microphone: Microphone | None,
        speaker: Speaker,
    ) -> None:
        """Takes an open control channel; `start` does the rest."""
        self.events = EventQueue()
        self.welcome = wire.Welcome()
        self.clock = ClockSync()
        self.muted = False
        self.opened: Opened | None = None
        self.player: Player | None = None
        self.failure: VoxwireError | None = None
        self._control = control
        self._microphone = microphone
        self._speaker = speaker
        self._opening = Opening(
            options,
            capture=self._read_microphone,
            send=control.send,
            loopback=control.loopback,
        )
        self._tools = ToolRunner(options.tools, control.send)
        self._ready = asyncio.Event()
        self._early: list[wire.Envelope] = []
        self._over = asyncio.Event()
        self._fatal: VoxwireError | None = None
        self._last_error: VoxwireError | None = None
        self._ended: events.Event | None = None
        self._said_bye = False
        self._owner: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the owner task."""
        self._owner = asyncio.create_task(self._own(), name="voxwire-session")

    async def wait_ready(self, timeout_ms: int) -> None:
        """Waits until the session is up. On failure or cancellation nothing of it remains.

        Raises:
            VoxwireError: It cannot be had, or not within `timeout_ms`.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._ready.wait()
        except TimeoutError:
            failure = self._opening.timed_out(timeout_ms)
            await self.stop()
            raise failure from None
        except asyncio.CancelledError:
            await self.stop()
            raise
        if self.failure is not None:
            await self.stop()
            raise self.failure

    def send(self, envelope: wire.Envelope) -> None:
        """Sends a message.

        Raises:
            UsageError: The session has ended.
        """
        if self._over.is_set() or self._owner is None or self._owner.done():
            raise UsageError(ErrorCode.INVALID_STATE, "the session has ended")
        self._control.send(envelope)

    async def bye(self, reason: str) -> None:
        """Says Bye and waits a moment for the answer."""
        if self._said_bye or self._over.is_set():
            return
        self._said_bye = True
        try:
            self.send(wire.Envelope(bye=wire.Bye(reason=reason)))
            async with asyncio.timeout(BYE_MS / 1000):
                await self._over.wait()
        except (VoxwireError, TimeoutError):
            return

    async def stop(self) -> None:
        """Ends the owner task and waits for that, at most 10 s."""
        self._said_bye = True
        self._over.set()
        owner = self._owner
        if owner is None:
            return
        try:
            await asyncio.wait({owner}, timeout=SHUTDOWN_MS / 1000)
        finally:
            if not owner.done():
                owner.cancel()
                await asyncio.wait({owner}, timeout=SHUTDOWN_MS / 1000)

    async def _own(self) -> None:
        """Runs the session. Ends when it is over, fails or is cancelled; cleans up in any case."""
        failure: VoxwireError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._supervise())
                group.create_task(self._read())
                group.create_task(self._control.write())
                group.create_task(self._open(group))
        except* _Over:
            failure = self._fatal
        except* VoxwireError as errors:
            failure = _first(errors)
        except* Exception as errors:
            failure = make_error(ErrorCode.INTERNAL, f"the client failed: {_first(errors)!r}")
            failure.__cause__ = _first(errors)
        finally:
            await self._clean_up(failure)

    async def _clean_up(self, failure: VoxwireError | None) -> None:
        if failure is None and self.player is None:
            failure = lost("the session ended before it was ready")
        self.failure = failure
        try:
            if self.player is not None:
                self.player.close()
            await self._tools.close()
            await self._opening.close()
        finally:
            try:
                await self._control.close()
            finally:
                self.events.close(failure)
                self._over.set()
                self._ready.set()

    async def _supervise(self) -> None:
        """Waits for the end; lets what was received play out first, unless we hung up."""
        await self._over.wait()
        if self._fatal is None and not self._said_bye:
            await self._drain()
        await self._control.flush(BYE_MS)
        if self._ended is not None:
            self.events.put(self._ended)
        raise _Over

    async def _drain(self) -> None:
        """Waits until the speaker has been idle for a moment, at most 2 s."""
        idle_ticks = 0
        for _ in range(DRAIN_MS // TICK_MS):
            await asyncio.sleep(TICK_MS / 1000)
            idle_ticks = idle_ticks + 1 if self.player is None or self.player.idle else 0
            if idle_ticks == IDLE_TICKS:
                return

    async def _read(self) -> None:
        try:
            await self._control.read(self._handle)
        except VoxwireError:
            if not self._said_bye and self._ended is None and self._fatal is None:
                raise
            self._over.set()

    async def _open(self, group: asyncio.TaskGroup) -> None:
        """Opens the session, then starts what needs it open."""
        opened = self.opened = await self._opening.run()
        player = self.player = Player(
            self._speaker,
            sample_rate=opened.sample_rate,
            target_ms=TARGET_MS[opened.path.carrier],
            continuous=opened.path.carrier == wire.Carrier.CARRIER_WEBRTC,
            emit=self.events.put,
            report=self._report,
        )
        started = from_envelope(wire.Envelope(welcome=self.welcome))
        if started is not None:
            self.events.put(started)
        carrier = events.Carrier(path_name(opened.path.carrier))
        self.events.put(events.PathChanged(path_id=opened.path_id, carrier=carrier))
        for envelope in self._early:
            self._handle_event(envelope)
        self._early.clear()
        group.create_task(player.run())
        group.create_task(self._run_path(opened.path, player))
        group.create_task(self._heartbeat())
        if self._microphone is not None:
            group.create_task(self._run_microphone(self._microphone))
        self._ready.set()

    async def _run_path(self, path: MediaPath, player: Player) -> None:
        try:
            await path.run(player)
        except VoxwireError:
            if not self._over.is_set():  # a session that ends takes its path with it
                raise

    async def _run_microphone(self, microphone: Microphone) -> None:
        try:
            await microphone.run()
        except Exception as error:
            raise MediaError(ErrorCode.DEVICE, f"the microphone failed: {error!r}") from error

    def _read_microphone(self, num_samples: int) -> bytes | None:
        """The user's next samples, silence where there are none; None = not heard at all."""
        if self._microphone is None:
            return None
        samples = self._microphone.read(num_samples)
        if self.muted:
            return None
        if len(samples) < num_samples:
            samples = np.concatenate((samples, np.zeros(num_samples - len(samples), np.int16)))
        return samples[:num_samples].astype("<i2", copy=False).tobytes()

    async def _heartbeat(self) -> None:
        """Asks for the server's clock, and notices when it has fallen silent."""
        interval_ms = min(max(self.welcome.heartbeat_ms or HEARTBEAT_MS, 500), 30_000)
        last_ping_ms = 0
        while True:
            now = now_ms()
            silent_ms = now - self._control.last_received_ms
            if silent_ms > 3 * interval_ms:
                raise lost(f"the server has been silent for {silent_ms / 1000:.0f} s")
            if now >= min(self.clock.next_ping_ms(now), last_ping_ms + interval_ms):
                last_ping_ms = now
                self._control.send(wire.Envelope(ping=self.clock.ping(_now_us())))
            await asyncio.sleep(0.1)

    def _report(self, report: wire.PlayoutReport) -> None:
        if self.opened is not None:
            report.path_id = self.opened.path_id
            self._control.send(wire.Envelope(playout_report=report))

    def _handle(self, envelope: wire.Envelope) -> None:
        """Takes one message of the server."""
        payload = envelope.WhichOneof("payload")
        match payload:
            case "ping":
                received_us = _now_us()
                pong = self.clock.pong(envelope.ping, received_us, _now_us())
                self._control.send(wire.Envelope(pong=pong))
            case "pong":
                self.clock.receive(envelope.pong, _now_us())
            case "welcome":
                self.welcome.CopyFrom(envelope.welcome)
                self._control.accept_limit(self.welcome.max_message_bytes)
                self._opening.welcome(self.welcome.ice_servers)
            case "ice_servers_update":
                self._opening.update_ice(envelope.ice_servers_update.ice_servers)
            case "tool_request" | "tool_cancel":
                self._tools.receive(envelope)
            case name if name in _PATH_PAYLOADS:
                self._handle_path(envelope, getattr(envelope, name).path_id)
            case _ if self.player is None and payload not in ("error", "session_ended"):
                self._early.append(envelope)
            case _:
                self._handle_event(envelope)

    def _handle_path(self, envelope: wire.Envelope, path_id: int) -> None:
        self._opening.receive(envelope, path_id)
        opened = self.opened
        if envelope.HasField("path_close") and opened and path_id == opened.path_id:
            self._fatal = lost(envelope.path_close.reason or "the server gave the media path up")
            self._over.set()

    def _handle_event(self, envelope: wire.Envelope) -> None:
        payload = envelope.WhichOneof("payload")
        if payload in ("state_changed", "flush") and self.player is not None:
            self.player.handle(envelope)  # which says so when its speaker is there
            return
        event = from_envelope(envelope)
        if payload == "error":
            self._handle_error(envelope.error)
        if payload == "session_ended":
            if envelope.session_ended.reason == wire.EndReason.END_REASON_ERROR:
                self._fatal = self._last_error or lost("the server ended the session")
            self._ended = event
            self._over.set()
        elif event is not None:
            self.events.put(event)
        if self.player is not None:
            self.player.handle(envelope)

    def _handle_error(self, error: wire.Error) -> None:
        self._last_error = error_from_wire(error)
        if error.fatal:
            self._fatal = self._last_error
            self._over.set()
        elif self.opened is None:
            self._opening.refuse(error)


def _first(errors: BaseException) -> Any:
    """The first exception of a group of groups."""
    while isinstance(errors, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", errors)
        errors = group.exceptions[0]
    return errors


def _now_us() -> int:
    return time.monotonic_ns() // 1000
