"""`connect`: from a URL to a session that is ready."""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, cast

from voxwire._arguments import (
    flag,
    invalid,
    items,
    metadata_text,
    text,
    token_text,
)
from voxwire._capture_early import EarlyCapture
from voxwire._deadline import OnWaiting
from voxwire._environment import Environment
from voxwire._ice import IceServer, check_policy, check_servers
from voxwire._live.audio import LiveAudio, device_of
from voxwire._live.memory import DeviceMemory, memory_of
from voxwire._options import Options
from voxwire._peer import Peer
from voxwire._runtime import Runtime
from voxwire._states import ClientStates, ClientStatus, Step
from voxwire._stereo import StereoFile
from voxwire._tap import Tap, Taps, check_tap
from voxwire._timeouts import Timeouts
from voxwire._user import UserAudio
from voxwire._voxwire_server import VoxwireServer
from voxwire.audio import MicrophoneLike, SpeakerLike, as_microphone, as_speaker
from voxwire.session import Session
from voxwire.tokens import TokenLike, TokenRequest, TokenSource, ask_for_token, source_late
from voxwire.tools import Approve, Tool, as_tool, mocked
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError
from voxwire_protocol.events import DeviceKind

__all__ = ["Connection", "connect"]

_MAX_BOT_CHARS = 256
_MAX_METHOD_CHARS = 500


def connect(
    url: str,
    *,
    microphone: MicrophoneLike = None,
    speaker: SpeakerLike = None,
    transport: str = "auto",
    codec: str = "auto",
    token: TokenLike = None,
    bot: str | None = None,
    metadata: dict[str, Any] | None = None,
    ice_servers: Sequence[IceServer] | None = None,
    ice_policy: str = "all",
    tools: Iterable[Tool | Callable[..., Any]] = (),
    approve: Approve | None = None,
    mock_tools: Mapping[str, Any] | None = None,
    handlers: Mapping[str, Callable[[Any], Any]] | None = None,
    on_waiting: OnWaiting | None = None,
    audio_response: bool = True,
    echo: str = "auto",
    noise_suppression: bool = False,
    auto_gain: bool = False,
    remember_devices: bool | str | os.PathLike[str] = False,
    record: str | os.PathLike[str] | None = None,
    tap: Tap | None = None,
    resume: bool = True,
    timeouts: Timeouts | None = None,
    peer: Peer | None = None,
    environment: Environment | None = None,
) -> "Connection":
    """Connects to a bot; use it with ``async with``.

    Args:
        url: ``ws://host:port``, ``https://host``, or with the path that the server is mounted at.
        microphone: What the bot hears: True for the system's microphone, a `Device` or its index
            for another one (``voxwire[audio]``); a WAV (path, bytes or a file open for reading),
            an array or an async iterator of audio at 16 kHz, `Audio` for any other rate, or an
            object like `Microphone`. None = the user is not heard.
        speaker: What plays the bot: True, a `Device` or its index; a path for a WAV of the media
            timeline, a function (async or not), or an object like `Recording`. None = it plays to
            nobody, in real time all the same.
        transport: ``webrtc``, ``websocket``, or ``auto``: the first of them that works. ``daily``:
            a Daily room, where the server has such (``voxwire[daily]``); never chosen by ``auto``.
        codec: What audio over WebSocket is encoded as: ``opus`` where both sides can
            (``voxwire[opus]``), ``pcm``, or ``auto``: ``pcm`` to a server on this machine, else
            ``opus``. `Session.report` says which it is, and why.
        token: Connect token, or what gives one when it is needed: a function (async or not; plain
            ones must not block) that is given a `TokenRequest`, or a `TokenEndpoint`. None where
            the server asks for none.
        bot: Name of the bot; None = the only one of the server.
        metadata: Application data for the bot: a dict of what JSON can hold, at most 8192 bytes.
        ice_servers: STUN and TURN servers for WebRTC; None = those that the server names.
        ice_policy: ``all``, or ``relay``: WebRTC goes through TURN or not at all.
        tools: Functions that the bot may have called here, as far as it allows their names; see
            `tool`.
        approve: Is asked before one of them runs, with the `ToolCall`; unless it returns True, or
            what gives True when it is awaited, the bot is told that the user did not allow it.
        mock_tools: Results by the name of a tool, which then does not run: for tests and demos. A
            function is called with the bot's arguments instead.
        handlers: What answers the requests of the bot's program from the first on, by their name:
            `Session.handle`.
        on_waiting: Is called with a `Waiting` where the server has no place yet and the session
            waits for one, and again whenever that has changed; it must not block. How long it waits
            is `Timeouts.waiting_ms`, and not part of `connect_ms`.
        audio_response: False = the bot answers in text only, its greeting included.
        echo: What keeps the bot from hearing itself where both sides are live: ``cancel``
            (``voxwire[aec]``), ``gate`` (the microphone is off while the bot sounds), ``none``
            (headphones), or ``auto``: the first of them that is installed.
        noise_suppression: True = noise is taken out of a live microphone (``voxwire[aec]``).
        auto_gain: True = the loudness of a live microphone is evened out (``voxwire[aec]``).
        remember_devices: True = the microphone and the speaker that are chosen by a `Device` or an
            index, here and in `Session.set_microphone`, are remembered by name in a file of this
            user (``voxwire/devices.json`` where the system keeps settings, mode 0600), and ``True``
            stands for them from then on. One that cannot be had gives way to the system's default,
            as `DeviceChanged.reason` says, and stays remembered; `Device()` is the system's default
            and forgets it. A path = in that file.
        record: Path of a WAV, stereo at 24 kHz: the user left, what the speaker plays right, both
            at their moments from when the session is up. What was said while muted is not in it.
        tap: Is called with every message from Hello on: see `Session.tap`.
        resume: True = a lost connection is dialled again and the session goes on, as long as the
            server keeps it; False = the session ends with it.
        timeouts: How long it waits for what; None = `Timeouts()`.
        peer: Who is at the other end; None = a Voxwire server. `voxwire.rtvi.PipecatBot` is a bot
            of Pipecat's own runner; what that cannot do is not in `Session.features`.
        environment: For tests: another network and another time, see `voxwire.testing`.

    Returns:
        A context manager; entering it dials. It is entered once.

    Raises:
        UsageError: An argument cannot be used.
        MediaError: The microphone's audio cannot be read: DEVICE, or UNSUPPORTED_FORMAT, which
            says what to pass.
    """
    around = _environment(environment)
    other = VoxwireServer() if peer is None else _peer(peer)
    check_policy(ice_policy)
    waits = Timeouts() if timeouts is None else _timeouts(timeouts)
    options = Options(
        transport=transport,
        codec=codec,
        token=token_text(token) if isinstance(token, str) else "",
        token_source=None if token is None or isinstance(token, str) else _token_source(token),
        bot="" if bot is None else text(bot, "bot", max_chars=_MAX_BOT_CHARS),
        metadata_json="" if metadata is None else metadata_text(metadata),
        ice_servers=None if ice_servers is None else check_servers(ice_servers),
        ice_policy=ice_policy,
        tools=_mocked(_distinct(items(tools, "tools")), mock_tools),
        handlers=_handlers(handlers),
        approve=approve if approve is None or callable(approve) else _no_approve(approve),
        on_waiting=_callable(on_waiting),
        audio_response=flag(audio_response, "audio_response"),
        resume=flag(resume, "resume"),
        timeouts=waits,
        taps=Taps() if tap is None else Taps(check_tap(tap)),
    )
    return Connection(
        other.check(url, options, around),
        options,
        peer=other,
        microphone=microphone,
        speaker=speaker,
        echo=echo,
        processing=(
            flag(noise_suppression, "noise_suppression"),
            flag(auto_gain, "auto_gain"),
        ),
        memory=memory_of(remember_devices),
        record=None if record is None else _record(record),
        environment=around,
    )


class Connection:
    """A session that is dialled when entered and closed when left, whatever happens inside."""

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        microphone: MicrophoneLike,
        speaker: SpeakerLike,
        peer: Peer,
        echo: str,
        processing: tuple[bool, bool],
        memory: DeviceMemory | None,
        record: str | os.PathLike[str] | None,
        environment: Environment,
    ) -> None:
        """Keeps the arguments; use `connect`."""
        self._url = url
        self._options = options
        self._live = live = LiveAudio(
            microphone=device_of(microphone, DeviceKind.MICROPHONE, memory),
            speaker=device_of(speaker, DeviceKind.SPEAKER, memory),
            echo=echo,
            noise_suppression=processing[0],
            auto_gain=processing[1],
            clock=environment.clock,
            devices=environment.devices,
            memory=memory,
        )
        self._microphone = live.microphone or as_microphone(microphone)
        self._speaker = live.speaker or as_speaker(speaker)
        self._record = record
        self._timeout_ms = max(1, round(options.timeouts.connect_ms))
        self._peer = peer
        self._environment = environment
        self._runtime: Runtime | None = None
        self._entered = False
        self._states = ClientStates()

    @property
    def status(self) -> ClientStatus:
        """What the client is doing: see `ClientStatus`."""
        return self._states.status

    async def __aenter__(self) -> Session:
        """Dials and waits until the session is ready. Cancel-safe: nothing is left behind.

        Raises:
            UsageError: INVALID_STATE: it was entered before.
            VoxwireError: It cannot be had within the deadline.
        """
        if self._entered:
            reason = "a connection is entered once: call connect() for another session"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        self._entered = True
        self._states.take(Step.CONNECT)
        clock = self._environment.clock
        deadline_ms = clock.now_ms() + self._timeout_ms
        async with AsyncExitStack() as begun:
            begun.callback(self._ended)
            record: StereoFile | None = None

            def tap(pcm: bytes, now_ms: float) -> None:
                if record is not None:
                    record.heard(pcm, now_ms)

            capture = EarlyCapture(UserAudio(self._microphone, clock=clock, tap=tap), self._live)
            begun.push_async_callback(capture.stop)
            begun.callback(self._states.take, Step.CLOSE)
            capture.start()
            options = await self._with_token()
            if self._record is not None:
                record = StereoFile(self._record)
                begun.callback(_dropped, record)
            runtime = self._made(options, capture=capture, record=record)
            await runtime.dial(max(1, round(deadline_ms - clock.now_ms())))
            begun.pop_all()  # which is the session's from here on
        self._runtime = runtime
        runtime.start()
        await runtime.wait_ready()
        return Session(runtime, options)

    def _ended(self) -> None:
        """There is no session, and nothing is left of the attempt."""
        self._states.take(Step.CLOSE)
        self._states.take(Step.GONE)

    def _made(
        self, options: Options, *, capture: EarlyCapture, record: StereoFile | None
    ) -> Runtime:
        return Runtime(
            self._url,
            options,
            capture=capture,
            speaker=self._speaker,
            peer=self._peer,
            live=self._live,
            environment=self._environment,
            states=self._states,
            record=record,
        )

    async def _with_token(self) -> Options:
        """The options with the token that their source gives now."""
        source = self._options.token_source
        if source is None:
            return self._options
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                token = await ask_for_token(source, TokenRequest("connect"))
        except TimeoutError:
            raise source_late() from None
        options = replace(self._options, token=token)
        self._peer.check(self._url, options, self._environment)
        return options

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the session.

        Raises:
            VoxwireError: The session had failed, nobody has been told yet, and the body raised
                nothing.
        """
        runtime = self._runtime
        if runtime is None:
            return
        try:
            await runtime.bye("")
        finally:
            await runtime.stop()
        if error is None and (failure := runtime.events.take_failure()) is not None:
            raise failure


def _dropped(record: StereoFile) -> None:
    """Closes the file of a session that did not begin, whose error is the one to be told."""
    with suppress(MediaError):
        record.close()


def _environment(given: object) -> Environment:
    if given is None:
        return Environment()
    if not isinstance(given, Environment):
        kind = type(given).__name__
        raise invalid(f"a {kind} is no environment: pass FakeServer.environment, or Environment()")
    return given


def _timeouts(given: object) -> Timeouts:
    if not isinstance(given, Timeouts):
        kind = type(given).__name__
        raise invalid(f"timeouts must be voxwire.Timeouts(connect_ms=5000), not {kind}")
    return given


def _token_source(given: object) -> TokenSource:
    if not callable(given):
        kind = type(given).__name__
        raise invalid(f"token must be a str or a function that gives one, not {kind}")
    return cast("TokenSource", given)


def _peer(given: object) -> Peer:
    if not callable(getattr(given, "link", None)):
        kind = type(given).__name__
        raise invalid(f"a {kind} is nobody to talk to: pass voxwire.rtvi.PipecatBot(), or None")
    return cast("Peer", given)


def _record(given: object) -> str | os.PathLike[str]:
    if not isinstance(given, str | os.PathLike):
        raise invalid(f"record must be the path of a WAV, not {type(given).__name__}")
    return cast("str | os.PathLike[str]", given)


def _no_approve(given: object) -> Approve:
    raise invalid(f"approve must be a function, not {type(given).__name__}")


def _callable(given: OnWaiting | None) -> OnWaiting | None:
    if given is not None and not callable(given):
        raise invalid(f"on_waiting must be a function, not {type(given).__name__}")
    if inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(
        getattr(given, "__call__", None)  # noqa: B004 - an object with an async __call__
    ):
        raise invalid("on_waiting must be a plain function: nobody would await it")
    return given


def _handlers(given: object) -> dict[str, Callable[[Any], Any]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise invalid(f"handlers must be a dict of functions, not {type(given).__name__}")
    named = dict(cast("Mapping[Any, Any]", given))
    for name, function in named.items():
        text(name, "the name of a handler", max_chars=_MAX_METHOD_CHARS)
        if not callable(function):
            raise invalid(f"what handles {name} must be a function")
    return named


def _mocked(tools: tuple[Tool, ...], mocks: object) -> tuple[Tool, ...]:
    """The tools, some of which give what they are told to."""
    if mocks is None:
        return tools
    if not isinstance(mocks, Mapping):
        raise invalid(f"mock_tools must be a dict, not {type(mocks).__name__}")
    results = cast("Mapping[str, Any]", mocks)
    if unknown := sorted(results.keys() - {tool.name for tool in tools}):
        raise invalid(f"mock_tools names what is no tool: {', '.join(map(str, unknown))}")
    return tuple(
        mocked(tool, results[tool.name]) if tool.name in results else tool for tool in tools
    )


def _distinct(values: Iterable[Tool | Callable[..., Any]]) -> tuple[Tool, ...]:
    """The tools, when they can be told apart."""
    tools = tuple(as_tool(value) for value in values)
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid("two tools have the same name")
    return tools
