"""How a socket is got back from a network that has just returned."""

import asyncio

import pytest

from voxwire import _dial
from voxwire._attach import Greeting, lost
from voxwire._environment import Environment
from voxwire._simulate import Gate
from voxwire._socket import Socket
from voxwire_protocol.errors import VoxwireError

URL = "ws://127.0.0.1:1"


class Sockets:
    """Dials of which the n-th takes so long, seconds, and fails when that is negative."""

    def __init__(self, *takes_s: float) -> None:
        self.takes_s = takes_s
        self.begun = self.ended = 0
        self.aborted: list[int] = []

    async def open(self, url: str, timeout_ms: int) -> "Sockets.Made":
        self.begun += 1
        number, takes_s = self.begun, self.takes_s[self.begun - 1]
        await asyncio.sleep(abs(takes_s))  # real time: slow
        if takes_s < 0:
            raise lost("refused")
        self.ended += 1
        return self.Made(self, number)

    class Made:
        def __init__(self, sockets: "Sockets", number: int) -> None:
            self.sockets, self.number = sockets, number

        def abort(self) -> None:
            self.sockets.aborted.append(self.number)


def dialler(sockets: Sockets, monkeypatch: pytest.MonkeyPatch) -> _dial.Dialler:
    monkeypatch.setattr(_dial, "AGAIN_S", 0.05)
    greeting = Greeting(URL, token="", bot="", metadata_json="", webrtc=False, resume=True)
    made = _dial.Dialler(greeting, Gate(), environment=Environment(), last_received=lambda: 0)
    monkeypatch.setattr(made, "_open_at", sockets.open)
    return made


async def test_a_dial_that_takes_long_gets_others_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets = Sockets(60, 60, 0.01)
    socket: Socket = await dialler(sockets, monkeypatch)._open_promptly(URL, 3000)
    assert socket.number == 3  # type: ignore[attr-defined]
    assert sockets.begun == 3


async def test_a_dial_that_answers_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(0.0)
    await dialler(sockets, monkeypatch)._open_promptly(URL, 3000)
    assert sockets.begun == 1


async def test_a_refusal_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(60, -0.01)
    with pytest.raises(VoxwireError, match="refused"):
        await dialler(sockets, monkeypatch)._open_promptly(URL, 3000)


async def test_of_two_that_open_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(0.1, 0.05)
    await dialler(sockets, monkeypatch)._open_promptly(URL, 3000)
    assert len(sockets.aborted) <= 1


async def test_cancelled_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(60, 60, 60)
    task = asyncio.create_task(dialler(sockets, monkeypatch)._open_promptly(URL, 3000))
    await asyncio.sleep(0.2)  # real time: moment
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_at_any_turn_of_the_loop_no_socket_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: set[bool] = set()
    for turns in range(20):
        sockets = Sockets(0.0)
        task = asyncio.create_task(dialler(sockets, monkeypatch)._open_promptly(URL, 3000))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        got = not isinstance(outcome, BaseException)
        given.add(got)
        through = sockets.begun and sockets.ended
        assert len(sockets.aborted) == (through and not got), turns
    assert given == {True, False}
