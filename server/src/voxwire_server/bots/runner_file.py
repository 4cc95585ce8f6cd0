"""Bots that were written for Pipecat's runner (``async def bot(runner_args)``), on our sessions.

Such a bot makes its transport of what the runner gives it. Two ways lead there, and both end at
the session's own transport here: ``create_transport(runner_args, transport_params)``, and
``SmallWebRTCTransport`` of the arguments' ``webrtc_connection``.
"""

import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipecat.runner import utils
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from voxwire_server.bots import file_notes
from voxwire_server.bots.missing import missing_key
from voxwire_server.bots.needs import NotConfiguredError
from voxwire_server.pipeline.bot import Bot, BotSession
from voxwire_server.pipeline.transport import SessionTransport

__all__ = ["SERVED", "SessionArguments", "as_session_bot", "install"]

SERVED: Final = ("webrtc", "websocket")
"""The entries of ``transport_params`` that fit a session, the first one that a bot has counts."""
_DIRECT: Final = "SmallWebRTCTransport"
_REPLACED: Final = "voxwire_replaced"
_SETS_UP_SIGNALS: Final = ("_setup_sigint", "_setup_sigterm")
"""Methods of Pipecat's runner (protocol/adr/0015)."""
_in_session: Final = ContextVar("in_session", default=False)
"""Whether a bot of a session is what runs: it, and the tasks that it makes."""


class SessionConnection:
    """Stands where a bot finds its peer connection; a session outlives those.

    Attributes:
        pc_id: The session's id.
    """

    def __init__(self, session: BotSession) -> None:
        self.pc_id = session.id
        self.session = session


@dataclass
class SessionArguments(SmallWebRTCRunnerArguments):
    """What a bot of Pipecat's runner is given here.

    Attributes:
        session: The session, for what Pipecat's runner has no word for: tools of the client,
            requests to it, the end.
    """

    session: BotSession = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pipeline_idle_timeout_secs = None  # the server's --idle-s is for that


def as_session_bot(run: Callable[[Any], Awaitable[None]], path: Path) -> Bot:
    """A bot of a session that calls ``run`` as Pipecat's runner does.

    Args:
        run: ``async def bot(runner_args)``.
        path: Its file.
    """
    _keep_signals()

    async def bot(session: BotSession) -> None:
        connection = SessionConnection(session)
        session.transport.client = connection
        session.transport.rtvi.expect()
        _in_session.set(True)
        arguments = SessionArguments(
            connection, session=session, body=session.metadata, session_id=session.id
        )
        try:
            await run(arguments)
        except KeyError as error:
            if said := missing_key(error, path):
                raise NotConfiguredError(said) from error
            raise

    return bot


def _keep_signals() -> None:
    """The server's signals end the server, whatever a bot's runner makes of them: its
    ``handle_sigint`` is True where a file does not pass on what it was given.
    """
    for name in _SETS_UP_SIGNALS:
        stock = getattr(WorkerRunner, name)
        if not hasattr(stock, _REPLACED):
            setattr(WorkerRunner, name, _unless_in_session(stock))


def _unless_in_session(stock: Callable[[WorkerRunner], None]) -> Callable[[WorkerRunner], None]:
    @functools.wraps(stock)
    def set_up(runner: WorkerRunner) -> None:
        if not _in_session.get():
            stock(runner)

    setattr(set_up, _REPLACED, True)
    return set_up


def install(source: str) -> None:
    """Have Pipecat's ways to a transport end at the session's, before a file imports them.

    Others, of arguments that are not a session's, go where they went. ``ENV`` is "local" unless
    it is set, as Pipecat's runner has it.

    Args:
        source: The file's text; ``SmallWebRTCTransport`` is only replaced where it is named.
    """
    os.environ.setdefault("ENV", "local")
    if not hasattr(utils.create_transport, _REPLACED):
        utils.create_transport = _create_transport(utils.create_transport)
    if file_notes.names(source, _DIRECT):
        from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

        SmallWebRTCTransport.__new__ = _new_transport  # type: ignore[assignment]


def _create_transport(stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    async def create_transport(
        runner_args: Any, transport_params: Mapping[str, Callable[[], Any]]
    ) -> Any:
        if isinstance(runner_args, SessionArguments):
            return _transport(runner_args.session, _params(transport_params))
        return await stock(runner_args, transport_params)

    setattr(create_transport, _REPLACED, True)
    return create_transport


def _new_transport(
    kind: type[Any], webrtc_connection: Any = None, params: Any = None, *_: Any, **__: Any
) -> Any:
    """``SmallWebRTCTransport.__new__``; what it gives is none: Python calls no ``__init__``."""
    if isinstance(webrtc_connection, SessionConnection):
        return _transport(webrtc_connection.session, params or TransportParams())
    return object.__new__(kind)


def _params(entries: Mapping[str, Callable[[], Any]]) -> TransportParams:
    """The parameters of the entry that fits a session.

    Raises:
        NotConfiguredError: There is none.
    """
    for name in SERVED:
        if name in entries:
            return entries[name]()
    has = ", ".join(map(repr, entries)) or "nothing"
    raise NotConfiguredError(
        f"transport_params has {has}, and no entry that this server serves: add"
        ' "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)'
    )


def _transport(session: BotSession, params: TransportParams) -> SessionTransport:
    session.transport.configure(params)
    return session.transport
