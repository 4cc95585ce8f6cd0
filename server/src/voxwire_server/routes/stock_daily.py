"""Stock clients in Daily rooms: RTVI as app-messages to the one participant, sound by the room.

``POST /start`` is answered with a room and a token, as Pipecat's runner does; the session begins
when the client is in the room, and ends when it has left.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from voxwire_protocol import rtvi, wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.daily import Room
from voxwire_protocol.errors import VoxwireError
from voxwire_server.control.rtvi import RtviChannel
from voxwire_server.daily.rooms import BOT_NAME, DailyRooms, PreparedRoom
from voxwire_server.lifecycle import Event
from voxwire_server.media.daily import DailyPath
from voxwire_server.ports import ControlChannel, PathError, PathSink, Report, SessionFacts
from voxwire_server.routes.bodies import RefusedRequestError
from voxwire_server.routes.stock_offers import http_status
from voxwire_server.routes.stock_peer import surroundings
from voxwire_server.routes.stock_starts import START_TTL_MS, Start
from voxwire_server.routes.stock_uploads import GiveUpload, TakeUpload, Uploads
from voxwire_server.sent_files import FileRefusal
from voxwire_server.session.directory import Directory
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import Here, Refused

__all__ = ["Guests"]

_log = logging.getLogger("voxwire.control")

_PATH_ID: Final = 1
_OWED_MS: Final = 2000
"""A client that sends more than so far ahead of its rate is not read: nothing holds it back."""
_FEATURES: Final = frozenset({wire.Feature.FEATURE_WORDS})
_EXTRA: Final = "Daily rooms need: pip install 'voxwire-server[daily]'"


class _RoomWire:
    """App-messages to one participant (``control.rtvi_wire.RtviWire``)."""

    answers_pings = False  # who has left, Daily says
    overflowing = False
    max_bytes = rtvi.MAX_MESSAGE_BYTES

    def __init__(self, room: Room) -> None:
        self._room = room

    def send(self, text: str) -> None:
        """Send a message."""
        self._room.say(json.loads(text))

    def undelivered(self) -> list[str]:
        """Nothing can be told."""
        return []

    def over(self) -> None:
        """The bot leaves the room, which says so."""

    def ping(self) -> None:
        """Nothing: Daily looks after its participants."""

    def close(self, code: int, reason: str) -> None:
        """Nothing: the room is the path's."""

    def give_up(self, code: int, reason: str) -> None:
        """Nothing: the room is the path's."""


class _Guest:
    """A client in a room; the session ends when it leaves.

    Args:
        room: The bot's side of the room.
        prepared: What lets into it.
        rooms: Whose it is.
        about: What ``bot-ready`` says of this server.
        take_upload: Hands on a file that this client has uploaded.

    Attributes:
        here: Done when the client is in the room, or has left again.
        session: The session, once there is one.
    """

    def __init__(
        self,
        room: Room,
        prepared: PreparedRoom,
        rooms: DailyRooms,
        *,
        about: dict[str, Any],
        take_upload: TakeUpload,
    ) -> None:
        self.here: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.session: Session | None = None
        self._room, self._prepared, self._rooms = room, prepared, rooms
        self._about = about
        self._take_upload = take_upload
        self._wire = _RoomWire(room)
        self._channel: RtviChannel | None = None
        self._sink: PathSink | None = None
        self._early: list[Any] = []
        self._free_at_ms = 0.0
        room.on_joined(lambda: self._came(here=True))
        room.on_left(lambda _: self._came(here=False))
        room.on_message(self._early.append)

    def _came(self, *, here: bool) -> None:
        if not self.here.done():
            self.here.set_result(here)

    # the front door's side (ticket.Arrival)

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> ControlChannel:
        """A channel that ends with this client."""
        self._channel = RtviChannel(self._wire, features=features, about=self._about, clock=clock)
        return self._channel

    def bind(self, session: Session) -> None:
        """The session speaks and hears through the room, which is its own from now on."""
        self.session = session
        settings = session.settings
        self._sink = session.path_sink(_PATH_ID)
        path = DailyPath(
            _PATH_ID,
            sink=self,
            sound=session.path_sound(_PATH_ID, settings.audio_out_sample_rate),
            playout=session.voice.playout,
            listener=session.voice,
            port=session,
            room=self._room,
            prepared=self._prepared,
            rooms=self._rooms,
            capture_rate=settings.audio_in_sample_rate,
            stays=True,
        )
        session.path_opened(path, way_ms=path.way_ms)
        if self._channel is not None:
            self._channel.follow(surroundings(session, lambda _: None, self._take_upload))

    def begin(self) -> None:
        """Take what the client has said, and says from now on."""
        early, self._early = self._early, []
        self._room.on_message(self._message)
        for message in early:
            self._message(message)

    def coming(self, session: Session) -> Event | None:
        """It never comes back."""

    def leave(self, session: Session) -> None:
        """It was lost before anybody served it."""
        self._left()

    # its path's sink

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        """The user's voice."""
        if self._channel is not None:
            self._channel.alive()
        if self._sink is not None:
            self._sink.audio(pcm, timestamp)

    def report(self, report: Report) -> None:
        """Nobody reports through a room."""

    def keys(self, digits: str) -> None:
        """Nobody presses keys."""

    def gone(self, error: PathError) -> None:
        """The client has left, or the room has ended."""
        if self._sink is not None:
            self._sink.gone(error)
        self._left()

    def _left(self) -> None:
        if self._channel is not None:
            self._channel.left(self._wire)

    def _message(self, message: Any) -> None:
        channel, session = self._channel, self.session
        if channel is None or session is None:
            return
        now_ms = session.now_ms()
        if self._free_at_ms - now_ms > _OWED_MS:
            channel.intake.dropped.messages += 1
            return
        self._free_at_ms = max(self._free_at_ms, now_ms) + channel.receive(json.dumps(message))


class Guests:
    """The stock clients that come, or are to come, through rooms.

    Args:
        directory: Puts clients on sessions.
        rooms: Rooms of Daily's.
        playout_rate: Of the bot's voice, Hz.
        capture_rate: Of the user's audio, Hz.
        uploads: The files that stock clients have uploaded.
        about: What ``bot-ready`` says of this server.
        came: Told that the client of a start is there.
    """

    def __init__(
        self,
        directory: Directory,
        rooms: DailyRooms,
        *,
        playout_rate: int,
        capture_rate: int,
        uploads: Uploads,
        about: dict[str, Any],
        came: Callable[[Start], None],
    ) -> None:
        self._directory = directory
        self._rooms = rooms
        self._playout_rate, self._capture_rate = playout_rate, capture_rate
        self._uploads = uploads
        self._about = about
        self._came = came
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def invite(self, start: Start) -> tuple[str, str]:
        """A room for the client of a start, in which the bot waits for it for a minute.

        Returns:
            Where to enter it, and the token that lets the client in.

        Raises:
            RefusedRequestError: There is none to be had.
        """
        try:
            room = self._rooms.make(
                send_rate=self._playout_rate,
                receive_rate=self._capture_rate,
                user_name=BOT_NAME,
            )
        except ImportError as error:
            _log.warning(_EXTRA, exc_info=error)
            code = wire.ErrorCode.ERROR_CODE_MISSING_EXTRA
            raise RefusedRequestError(501, code, _EXTRA) from None
        try:
            prepared = await self._rooms.take()
        except BaseException as error:
            await room.leave()
            if isinstance(error, VoxwireError):
                code = cast("wire.ErrorCode", error.code.value)
                raise RefusedRequestError(http_status(code), code, error.reason) from None
            raise
        self._spawn(self._host(start, room, prepared))
        return prepared.url, prepared.user_token

    async def close(self) -> None:
        """Nobody is waited for any more; sessions end with their own."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _host(self, start: Start, room: Room, prepared: PreparedRoom) -> None:
        def take_upload(url: str, give: GiveUpload) -> FileRefusal | None:
            return self._uploads.hand_on(url, [start.owner], time.monotonic() * 1000, give)

        guest = _Guest(room, prepared, self._rooms, about=self._about, take_upload=take_upload)
        try:
            if await self._is_here(guest, room, prepared):
                self._came(start)
                await self._attach(start, guest, room)
        finally:
            if guest.session is None:  # else its path sees to the room
                try:
                    await room.leave()
                finally:
                    self._rooms.give_up(prepared.name)

    @staticmethod
    async def _is_here(guest: _Guest, room: Room, prepared: PreparedRoom) -> bool:
        try:
            await room.join(prepared.url, prepared.bot_token)
            async with asyncio.timeout(START_TTL_MS / 1000):
                return await guest.here
        except (VoxwireError, TimeoutError) as error:
            _log.info("a stock client did not come to its Daily room", exc_info=error)
            return False

    async def _attach(self, start: Start, guest: _Guest, room: Room) -> None:
        asked = start.asked
        features = _FEATURES | {wire.Feature.FEATURE_CLIENT_TOOLS} if asked.tools else _FEATURES
        facts = SessionFacts(
            features=features,
            origin=start.origin,
            metadata_json=asked.metadata_json,
            tools=asked.tools,
        )
        answer = await self._directory.attach(start.ticket, facts, guest)
        if isinstance(answer, Here):
            guest.begin()
            return
        reason = answer.reason if isinstance(answer, Refused) else "the session is elsewhere"
        said = {"error": reason, "message": reason, "fatal": True}
        room.say(json.loads(rtvi.encode(rtvi.RtviMessage("error", said))))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a stock client's room failed", exc_info=error)
