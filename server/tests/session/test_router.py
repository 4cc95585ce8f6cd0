"""Every kind of message that a client may send goes where the table says, and nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.ports import Report
from voxwire_server.session.router import CHANNEL_PAYLOADS, Doors, Router


class Noting:
    """Any door: notes which verb was called with what."""

    def __init__(self, name: str, calls: list[tuple[str, Any]]) -> None:
        self._name = name
        self._calls = calls

    def __getattr__(self, verb: str) -> Callable[..., None]:
        def call(*args: Any, **kwargs: Any) -> None:
            values = [*args, *kwargs.values()]
            self._calls.append((f"{self._name}.{verb}", values[0] if len(values) == 1 else values))

        return call


class Lane:
    """Keeps what is to be done soon until the test says so."""

    def __init__(self) -> None:
        self.acts: list[Callable[[], None]] = []

    def soon(self, act: Callable[[], None]) -> None:
        self.acts.append(act)


class Hall:
    """A router, and what its doors are told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.port = FakePort()
        self.lane = Lane()
        self.clock_sync = ClockSync()

        def door(name: str) -> Any:
            return Noting(name, self.calls)

        self.router = Router(
            self.port,
            Doors(
                voice=door("voice"),
                paths=door("paths"),
                capture=door("capture"),
                lane=self.lane,
                texts=door("texts"),
                files=door("files"),
                requests=door("requests"),
                tools=door("tools"),
                interrupt=door("lane").cut,
                used=door("limits").active,
                candidate=door("ice").candidate,
                clock_sync=self.clock_sync,
            ),
            session_id="s",
        )

    def take(self, **payload: Any) -> list[tuple[str, Any]]:
        """Take a message; what was called for it."""
        self.calls.clear()
        self.router.take(wire.Envelope(**payload))
        return list(self.calls)


@in_virtual_time
async def test_the_table_has_what_a_client_may_send_and_nothing_else() -> None:
    handlers = set(Hall().router.handlers)
    assert handlers == wire.CLIENT_PAYLOADS - CHANNEL_PAYLOADS
    assert CHANNEL_PAYLOADS <= wire.CLIENT_PAYLOADS


MESSAGES: dict[str, tuple[Any, str, Any]] = {
    "audio": (wire.AudioChunk(path_id=3), "capture.chunk", wire.AudioChunk(path_id=3)),
    "path_open": (wire.PathOpen(path_id=3), "paths.open", wire.PathOpen(path_id=3)),
    "path_close": (wire.PathClose(path_id=3), "paths.close", 3),
    "ice_candidate": (wire.IceCandidate(path_id=3), "ice.candidate", wire.IceCandidate(path_id=3)),
    "app_message": (wire.AppMessage(type="a"), "requests.take", wire.AppMessage(type="a")),
    "error": (wire.Error(reason="no"), "requests.refused", wire.Error(reason="no")),
    "mute": (wire.Mute(muted=True), "capture.mute", True),
    "interrupt": (wire.Interrupt(), "lane.cut", []),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_goes_through_its_door(kind: str) -> None:
    @in_virtual_time
    async def run() -> None:
        message, verb, value = MESSAGES[kind]
        assert Hall().take(**{kind: message}) == [(verb, value)]

    run()


@in_virtual_time
async def test_a_typed_text_is_a_use_of_the_session() -> None:
    text = wire.SendText(text="hello")
    assert Hall().take(send_text=text) == [("limits.active", []), ("texts.take", text)]


@in_virtual_time
async def test_a_user_who_is_active_uses_the_session() -> None:
    assert Hall().take(user_activity=wire.UserActivity()) == [("limits.active", [])]


@pytest.mark.parametrize(
    "message",
    [
        {"file_begin": wire.FileBegin(file_id="f")},
        {"file_piece": wire.FilePiece(file_id="f", data=b"x")},
        {"file_cancel": wire.FileCancel(file_id="f")},
    ],
)
def test_a_file_is_a_use_of_the_session(message: dict[str, Any]) -> None:
    @in_virtual_time
    async def run() -> None:
        taken = ("files.take", wire.Envelope(**message))
        assert Hall().take(**message) == [("limits.active", []), taken]

    run()


@in_virtual_time
async def test_a_report_becomes_values_and_names_its_path() -> None:
    report = wire.PlayoutReport(
        path_id=3, media_ms=1200, playing=True, flush_id=7, suspended=True, concealed_ms=20
    )
    values = Report(media_ms=1200.0, playing=True, flush_id=7, suspended=True, concealed_ms=20)
    assert Hall().take(playout_report=report) == [("voice.report", [3, values])]


@in_virtual_time
async def test_a_report_of_another_track_is_nobody_s() -> None:
    report = wire.PlayoutReport(path_id=3, track_id=1, media_ms=1200)
    assert Hall().take(playout_report=report) == []


@pytest.mark.parametrize("kind", ["tool_accepted", "tool_progress", "tool_result", "tool_cancel"])
def test_what_is_said_of_a_call_keeps_its_place_in_the_lane(kind: str) -> None:
    @in_virtual_time
    async def run() -> None:
        hall, message = Hall(), wire.Envelope()
        getattr(message, kind).call_id = "c"
        hall.router.take(message)
        assert hall.calls == []
        [act] = hall.lane.acts
        act()
        assert hall.calls == [("tools.on_message", message)]

    run()


@in_virtual_time
async def test_a_ping_is_answered_with_this_side_s_time(time: VirtualTime) -> None:
    hall = Hall()
    await time.advance(5)
    hall.take(ping=wire.Ping(number=4, t0_us=17))
    [pong] = hall.port.of("pong")
    assert (pong.number, pong.t0_us) == (4, 17)
    assert pong.t1_us == pong.t2_us == int(time.now_ms() * 1000)


@in_virtual_time
async def test_a_pong_tells_the_way_there_and_back(time: VirtualTime) -> None:
    hall = Hall()
    ping = hall.clock_sync.ping(int(time.now_ms() * 1000))
    await time.advance(30)
    now_us = int(time.now_ms() * 1000)
    hall.take(pong=hall.clock_sync.pong(ping, now_us, now_us))
    assert hall.clock_sync.rtt_us == pytest.approx(30_000, abs=2)


@in_virtual_time
async def test_bye_ends_the_session_for_the_client() -> None:
    hall = Hall()
    assert hall.take(bye=wire.Bye()) == []
    assert hall.port.ended == [wire.EndReason.END_REASON_CLIENT]
