"""A room on Daily's SDK (daily-python), with a deadline of its own round everything that it asks.

The SDK has threads of its own and says nothing for a long time when it fails: a ``join`` to nowhere
is called back after 18 s, and ``release`` waits for that. So nothing of it is waited for without a
deadline, and it is let go of in a thread that nobody waits for.
"""

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, cast

from voxwire_protocol.daily.room import BLOCK_MS, OTHER_LEFT, RoomStats
from voxwire_protocol.errors import ErrorCode, make_error

__all__ = ["DailyCall", "daily_ready", "load_daily"]

_log = logging.getLogger("voxwire.daily")

_JOIN_MS: Final = 10_000
_LEAVE_MS: Final = 1500
_RELEASE_MS: Final = 1000
_STUCK_MS: Final = 2000
"""So long after a write without any that has left the SDK is stuck: it takes 20 ms a block."""
_LONGEST_RTT_S: Final = 10.0
_SAMPLE: Final = "h"
_RUST_LOG: Final = "RUST_LOG"
_KIND: Final = re.compile(r"[A-Za-z]+(?:\([A-Za-z]+)*")
_UNWANTED: Final = {
    "base": {
        "camera": "unsubscribed",
        "screenVideo": "unsubscribed",
        "screenAudio": "unsubscribed",
    }
}
_begun: set[int] = set()
_beginning = threading.Lock()


def daily_ready() -> bool:
    """Whether Daily's SDK is installed."""
    return find_spec("daily") is not None


def load_daily() -> None:
    """Load Daily's SDK, which takes its time: to be called in a thread, before it is needed.

    Raises:
        ImportError: It is not installed.
    """
    _sdk()


def _sdk() -> Any:
    """Daily's SDK, begun once in a process.

    It writes errors to stderr as it likes, URLs in them, whatever level it is told; only
    ``RUST_LOG``, which it reads when it begins, stops it. Who has set that wants to see them.

    Raises:
        ImportError: It is not installed.
    """
    sdk = import_module("daily")
    with _beginning:
        if id(sdk) not in _begun:
            quiet = _RUST_LOG not in os.environ
            if quiet:
                os.environ[_RUST_LOG] = "off"
            try:
                sdk.Daily.init()
            finally:
                if quiet:
                    del os.environ[_RUST_LOG]
            _begun.add(id(sdk))
    return sdk


class DailyCall:
    """A :class:`~voxwire_protocol.daily.room.Room` on a ``CallClient``.

    Args:
        send_rate: Of what is written, Hz.
        receive_rate: Of what comes, Hz.
        user_name: How it is called in the room.
        join_ms: How long it may take to enter, milliseconds.
        sdk: The SDK; None = daily-python.

    Raises:
        ImportError: daily-python is not installed.
    """

    def __init__(
        self,
        *,
        send_rate: int,
        receive_rate: int,
        user_name: str,
        join_ms: float = _JOIN_MS,
        sdk: Any = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        sdk = _sdk() if sdk is None else sdk
        self._join_ms = join_ms
        self._receive_rate = receive_rate
        self._source = sdk.CustomAudioSource(send_rate, 1)
        self._track = sdk.CustomAudioTrack(self._source)
        self._client: Any = sdk.CallClient(event_handler=_handler(sdk, self._soon, self))
        self._client.set_user_name(user_name)
        self._joined = False
        self._over = False
        self._other = ""
        self._writing = 0
        self._stuck: asyncio.TimerHandle | None = None
        self._rtt_ms: float | None = None
        self._hear: Callable[[bytes], object] = _nothing
        self._told_joined: Callable[[], object] = bool
        self._told_left: Callable[[str], object] = _nothing
        self._take: Callable[[Any], object] = _nothing

    def on_audio(self, hear: Callable[[bytes], object]) -> None:
        """Have the other's voice handed over."""
        self._hear = hear

    def on_joined(self, call: Callable[[], object]) -> None:
        """Have it called when the other is there."""
        self._told_joined = call

    def on_left(self, call: Callable[[str], object]) -> None:
        """Have it called when nothing comes any more."""
        self._told_left = call

    def on_message(self, take: Callable[[Any], object]) -> None:
        """Have app-messages of the other handed over."""
        self._take = take

    # from the SDK's threads to the loop

    def _soon(self, work: Callable[..., object], *args: Any) -> None:
        """Have it called in the loop, unless this is over; the loop may be closed by now."""

        def call() -> None:
            if not self._over:
                work(*args)

        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return

    # coming and going

    async def join(self, url: str, token: str) -> None:
        """Enter, within the deadline.

        Raises:
            VoxwireError: TIMEOUT, UNREACHABLE. Neither URL nor token is in the text.
        """
        done: asyncio.Future[tuple[Any, str | None]] = self._loop.create_future()

        def joined(data: Any, error: str | None) -> None:
            self._soon(_settle, done, (data, error))

        self._client.update_subscription_profiles(_UNWANTED)
        self._client.join(url, token, client_settings=self._settings(), completion=joined)
        try:
            async with asyncio.timeout(self._join_ms / 1000):
                data, error = await done
        except TimeoutError:
            reason = f"the Daily room was not entered within {self._join_ms / 1000:g} s"
            raise make_error(ErrorCode.TIMEOUT, reason, retryable=True) from None
        if error is not None:
            kind = _kind(error)
            _log.warning("a Daily room cannot be entered", extra={"kind": kind})
            reason = f"the Daily room cannot be entered ({kind})"
            raise make_error(ErrorCode.UNREACHABLE, reason, retryable=True)
        self._joined = True
        for participant in _mapping(_mapping(data).get("participants")).values():
            self.came(participant)

    def _settings(self) -> dict[str, Any]:
        microphone = {"isEnabled": True, "settings": {"customTrack": {"id": self._track.id}}}
        return {
            "inputs": {"camera": False, "microphone": microphone},
            "publishing": {
                "camera": False,
                "microphone": {"isPublishing": True, "sendSettings": {"channelConfig": "mono"}},
            },
        }

    async def leave(self) -> None:
        """Leave; what the SDK does not end in time goes on in a thread of its own."""
        client, self._client = self._client, None
        self._over = True
        self._disarm()
        if client is None:
            return
        left, released = self._loop.create_future(), self._loop.create_future()

        def tell(done: asyncio.Future[Any]) -> None:
            try:
                self._loop.call_soon_threadsafe(_settle, done, None)
            except RuntimeError:
                return

        def release() -> None:
            client.release()
            tell(released)

        def has_left(_: Any) -> None:
            tell(left)

        in_time = True
        try:
            if self._joined:
                client.leave(completion=has_left)
                await asyncio.wait({left}, timeout=_LEAVE_MS / 1000)
        finally:
            threading.Thread(target=release, name="daily release", daemon=True).start()
            done, _ = await asyncio.wait({released}, timeout=_RELEASE_MS / 1000)
            in_time = bool(done)
        if not in_time:
            _log.warning("Daily's SDK has not let go of a call yet")

    # audio

    def write(self, pcm: bytes, left: Callable[[], object]) -> None:
        """Speak; once this is over, nothing is called back."""
        if self._over:
            return
        self._writing += 1
        if self._stuck is None:
            self._arm()

        def wrote(_: Any) -> None:
            self._soon(self._wrote, left)

        self._source.write_frames(pcm, completion=wrote)

    def _wrote(self, left: Callable[[], object]) -> None:
        self._writing -= 1
        self._disarm()
        if self._writing:
            self._arm()
        left()

    def _arm(self) -> None:
        self._stuck = self._loop.call_later(_STUCK_MS / 1000, self._is_stuck)

    def _disarm(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _is_stuck(self) -> None:
        self._stuck = None
        self.gone("Daily's SDK takes no more audio")

    def say(self, message: Any) -> None:
        """Send an app-message to the other alone."""
        if self._other and not self._over:
            self._client.send_app_message(message, self._other)

    def stats(self) -> RoomStats:
        """What the SDK told last; it does so every two seconds or so."""
        return RoomStats(self._rtt_ms)

    # what the SDK tells, in the loop

    def came(self, participant: Any) -> None:
        """Somebody is there; the first one is the other, as the room is for two."""
        found = _mapping(participant)
        name = str(found.get("id") or "")
        if not name or self._other or _mapping(found.get("info")).get("isLocal"):
            return
        self._other = name

        def hear(_: str, audio: Any, __: str) -> None:
            self._soon(self._hear, _mono(audio))

        self._client.set_audio_renderer(
            name,
            hear,
            audio_source="microphone",
            sample_rate=self._receive_rate,
            callback_interval_ms=BLOCK_MS,
        )
        self._told_joined()

    def went(self, participant: Any) -> None:
        """Somebody has left."""
        if self._other and _mapping(participant).get("id") == self._other:
            self.gone(OTHER_LEFT)

    def state(self, state: str) -> None:
        """What the SDK says of this side."""
        if state == "left" and self._joined:
            self.gone("this side was put out of the Daily room")

    def failed(self, message: str) -> None:
        """The SDK reports an error; before it has joined, that is the completion's to say."""
        _log.warning("Daily's SDK reports an error", extra={"kind": _kind(message)})

    def told(self, message: Any, sender: str) -> None:
        """An app-message came."""
        if sender == self._other:
            self._take(message)

    def measured(self, stats: Any) -> None:
        """The SDK has measured the network."""
        latest = _mapping(_mapping(_mapping(stats).get("stats")).get("latest"))
        rtt_s = latest.get("networkRoundTripTime")
        if isinstance(rtt_s, int | float) and 0 < rtt_s < _LONGEST_RTT_S:
            self._rtt_ms = rtt_s * 1000

    def gone(self, reason: str) -> None:
        """Nothing comes any more; told once."""
        told, self._told_left = self._told_left, _nothing
        told(reason)


def _handler(sdk: Any, soon: Callable[..., None], call: DailyCall) -> Any:
    """What the SDK calls, in threads of its own."""

    class Handler(sdk.EventHandler):  # type: ignore[misc]
        def on_participant_joined(self, participant: Any) -> None:
            soon(call.came, participant)

        def on_participant_left(self, participant: Any, reason: str) -> None:
            soon(call.went, participant)

        def on_call_state_updated(self, state: str) -> None:
            soon(call.state, state)

        def on_error(self, message: str) -> None:
            soon(call.failed, message)

        def on_app_message(self, message: Any, sender: str) -> None:
            soon(call.told, message, sender)

        def on_network_stats_updated(self, stats: Any) -> None:
            soon(call.measured, stats)

    return Handler()


def _settle(done: "asyncio.Future[Any]", value: Any) -> None:
    if not done.done():
        done.set_result(value)


def _nothing(_: Any) -> None:
    pass


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mono(audio: Any) -> bytes:
    """The first channel of what came."""
    pcm: bytes = audio.audio_frames
    channels = audio.num_channels
    return pcm if channels <= 1 else memoryview(pcm).cast(_SAMPLE)[::channels].tobytes()


def _kind(error: str) -> str:
    """What is safe to show of an error: names of its kinds; URLs may be in the rest."""
    found = _KIND.match(error)
    return found[0].replace("(", " ") if found else "unknown"
