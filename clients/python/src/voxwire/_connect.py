"""`connect`: from a URL to a session that is ready."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, cast

from voxwire._arguments import (
    flag,
    invalid,
    items,
    metadata_text,
    number,
    text,
    token_text,
)
from voxwire._environment import Environment
from voxwire._ice import IceServer, check_policy, check_servers
from voxwire._live.audio import LiveAudio, device_of
from voxwire._options import Options
from voxwire._peer import Peer
from voxwire._runtime import Runtime
from voxwire._voxwire_server import VoxwireServer
from voxwire.audio import MicrophoneLike, SpeakerLike, as_microphone, as_speaker
from voxwire.session import Session
from voxwire.tools import Tool, as_tool
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["Connection", "connect"]

_MAX_BOT_CHARS = 256


def connect(
    url: str,
    *,
    microphone: MicrophoneLike = None,
    speaker: SpeakerLike = None,
    transport: str = "auto",
    token: str | None = None,
    bot: str | None = None,
    metadata: dict[str, Any] | None = None,
    ice_servers: Sequence[IceServer] | None = None,
    ice_policy: str = "all",
    tools: Iterable[Tool | Callable[..., Any]] = (),
    audio_response: bool = True,
    echo: str = "auto",
    connect_timeout: float = 10.0,
    resume: bool = True,
    resume_timeout: float | None = None,
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
        transport: ``webrtc``, ``websocket``, or ``auto``: the first of them that works.
        token: Connect token; None where the server asks for none.
        bot: Name of the bot; None = the only one of the server.
        metadata: Application data for the bot: a dict of what JSON can hold, at most 8192 bytes.
        ice_servers: STUN and TURN servers for WebRTC; None = those that the server names.
        ice_policy: ``all``, or ``relay``: WebRTC goes through TURN or not at all.
        tools: Functions that the bot may have called here, as far as it allows their names; see
            `tool`.
        audio_response: False = the bot answers in text only, its greeting included.
        echo: What keeps the bot from hearing itself where both sides are live: ``cancel``
            (``voxwire[aec]``), ``gate`` (the microphone is off while the bot sounds), ``none``
            (headphones), or ``auto``: the first of them that is installed.
        connect_timeout: Longest wait until the session is ready, seconds.
        resume: True = a lost connection is dialled again and the session goes on, as long as the
            server keeps it; False = the session ends with it.
        resume_timeout: Longest time to try, seconds; None = as long as the server keeps a session.
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
    if resume_timeout is not None:
        number(resume_timeout, "resume_timeout")
    options = Options(
        transport=transport,
        token="" if token is None else token_text(token),
        bot="" if bot is None else text(bot, "bot", max_chars=_MAX_BOT_CHARS),
        metadata_json="" if metadata is None else metadata_text(metadata),
        ice_servers=None if ice_servers is None else check_servers(ice_servers),
        ice_policy=ice_policy,
        tools=_distinct(items(tools, "tools")),
        audio_response=flag(audio_response, "audio_response"),
        resume=flag(resume, "resume"),
        resume_ms=None if resume_timeout is None else max(1, round(resume_timeout * 1000)),
    )
    return Connection(
        other.check(url, options, around),
        options,
        peer=other,
        microphone=microphone,
        speaker=speaker,
        echo=echo,
        timeout_ms=round(number(connect_timeout, "connect_timeout", above=0) * 1000),
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
        timeout_ms: int,
        environment: Environment,
    ) -> None:
        """Keeps the arguments; use `connect`."""
        self._url = url
        self._options = options
        self._live = live = LiveAudio(
            microphone=device_of(microphone),
            speaker=device_of(speaker),
            echo=echo,
            clock=environment.clock,
            devices=environment.devices,
        )
        self._microphone = live.microphone or as_microphone(microphone)
        self._speaker = live.speaker or as_speaker(speaker)
        self._timeout_ms = timeout_ms
        self._peer = peer
        self._environment = environment
        self._runtime: Runtime | None = None
        self._entered = False

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
        clock = self._environment.clock
        deadline_ms = clock.now_ms() + self._timeout_ms
        runtime = Runtime(
            self._url,
            self._options,
            microphone=self._microphone,
            speaker=self._speaker,
            peer=self._peer,
            live=self._live,
            environment=self._environment,
        )
        await runtime.dial(self._timeout_ms)
        self._runtime = runtime
        runtime.start()
        await runtime.wait_ready(max(1, round(deadline_ms - clock.now_ms())))
        return Session(runtime)

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


def _environment(given: object) -> Environment:
    if given is None:
        return Environment()
    if not isinstance(given, Environment):
        kind = type(given).__name__
        raise invalid(f"a {kind} is no environment: pass FakeServer.environment, or Environment()")
    return given


def _peer(given: object) -> Peer:
    if not callable(getattr(given, "link", None)):
        kind = type(given).__name__
        raise invalid(f"a {kind} is nobody to talk to: pass voxwire.rtvi.PipecatBot(), or None")
    return cast("Peer", given)


def _distinct(values: Iterable[Tool | Callable[..., Any]]) -> tuple[Tool, ...]:
    """The tools, when they can be told apart."""
    tools = tuple(as_tool(value) for value in values)
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid("two tools have the same name")
    return tools
