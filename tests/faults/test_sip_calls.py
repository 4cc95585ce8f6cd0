"""SIPp calls through the gateway of ``examples/sip-trunk``, well and badly; nothing stays of it.

``make system`` runs it: the gateway is built from Go.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_phone_offline import KEY, Inside, watched
from tests.support.espeak import render_pcm
from tests.support.sip_far_server import far_server
from tests.support.sip_trunk import ACCOUNT, TOKEN, Gateway, free_port, gateway
from tests.support.sipp import MISSING, Steps, sipp, started
from tests.support.waiting import PATIENT, until
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.phone.g711 import ALAW
from voxwire_server.testing import RunningServer, running_server

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING or "-"),
    pytest.mark.timeout(400),
]


@dataclass
class Rooms:
    """What the bots of all calls know."""

    insides: list[Inside]

    def bot(self) -> LoadedBot:
        """The offline bot, looked into in each of its calls."""

        async def run(session: BotSession) -> None:
            inside = Inside()
            self.insides.append(inside)
            await watched(inside).run(session)

        return LoadedBot(name="offline", run=run, warm=offline.warm, close=offline.close)


def connections_of(port: int) -> int:
    """How many TCP connections are open to a port of loopback."""
    at, found = f"0100007F:{port:04X}", 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        found += at in (local, remote) and state == "01"
    return found


@contextlib.asynccontextmanager
async def answering(
    *options: str,
) -> AsyncIterator[tuple[Rooms, RunningServer, Gateway]]:
    """The offline bot behind a gateway; nothing is left of the calls: no session, no socket."""
    port = free_port(socket.SOCK_STREAM)
    url, rooms = f"http://127.0.0.1:{port}", Rooms([])
    known: dict[str, Any] = {"key": KEY, "public_url": url, "phone_twilio_token": TOKEN, **PATIENT}
    known |= {"max_pending_per_address": 64}
    async with running_server(rooms.bot(), port=port, **known) as server:
        async with gateway(url, *options) as running:
            yield rooms, server, running
            await until(lambda: not len(server.registry))
            await running.idle(timeout_s=120)
            await until(lambda: not connections_of(port))


async def test_a_call_that_is_cancelled_while_it_rings_is_none(tmp_path: Path) -> None:
    async with far_server(TOKEN) as server, gateway(server.url) as running:
        server.delay_s = 3.0
        steps = Steps(ACCOUNT).invite().receive(401).ack(refused=True).invite(signed=True)
        steps.receive(100, optional=True).receive(180).wait(300).cancel()
        steps.receive(200).receive(487).ack(refused=True)
        ran = await sipp(tmp_path, running.port, steps)
        assert (ran.code, ran.errors if ran.code else "") == (0, "")
        await running.idle()
        assert (len(server.calls), server.streams) == (1, [])


@pytest.mark.parametrize("when", ["it rings", "before the answer is acknowledged", "at once"])
async def test_a_caller_hangs_up_while_he_is_answered(when: str, tmp_path: Path) -> None:
    steps = Steps(ACCOUNT).invite().receive(401).ack(refused=True).invite(signed=True)
    steps.receive(100, optional=True)
    if when == "it rings":
        async with far_server(TOKEN) as server, gateway(server.url) as running:
            server.delay_s = 3.0
            steps.receive(180).wait(300).bye().receive(200)
            ran = await sipp(tmp_path, running.port, steps)
            assert (ran.code, ran.errors if ran.code else "") == (0, "")
            await running.idle()
            assert (len(server.calls), server.streams) == (1, [])
        return
    async with answering() as (_, _, running):
        steps.receive(180, optional=True).receive(200)
        steps = steps.ack() if when == "at once" else steps
        ran = await sipp(tmp_path, running.port, steps.bye().receive(200))
        assert (ran.code, ran.errors if ran.code else "") == (0, "")


async def test_a_caller_who_never_acknowledges_is_given_up(tmp_path: Path) -> None:
    async with answering() as (rooms, _, running):
        steps = Steps(ACCOUNT).invite().receive(401).ack(refused=True).invite(signed=True)
        steps.receive(100, optional=True).receive(180, optional=True).receive(200)
        ran = await sipp(tmp_path, running.port, steps)
        assert ran.code == 0
        await running.idle(timeout_s=120)
        assert rooms.insides == []


async def test_a_call_is_held_and_taken_up_again(tmp_path: Path) -> None:
    async with answering() as (rooms, _, running):
        steps = Steps(ACCOUNT).called().wait(1500)
        steps.invite(direction="sendonly", again=True).receive(100, optional=True)
        steps.receive(200, holds="a=recvonly").ack().wait(3000)
        steps.invite(again=True).receive(100, optional=True)
        steps.receive(200, holds="a=sendrecv").ack().wait(12_000).bye().receive(200)
        async with started(tmp_path, running.port, steps) as ending:
            await until(lambda: rooms.insides and rooms.insides[0].said("assistant"))
            ran = await ending
        assert (ran.code, ran.errors if ran.code else "") == (0, "")
        [inside] = rooms.insides
        print("after the hold:", inside.said("assistant"))
        assert inside.said("assistant")[0].endswith(".")  # the greeting, to its end


async def test_a_wrong_password_is_refused_and_begins_nothing(tmp_path: Path) -> None:
    async with answering() as (rooms, _, running):
        steps = Steps((ACCOUNT[0], "another")).invite().receive(401).ack(refused=True)
        steps.invite(signed=True).receive(100, optional=True).receive(403).ack(refused=True)
        ran = await sipp(tmp_path, running.port, steps, calls=5)
        assert (ran.code, ran.errors if ran.code else "") == (0, "")
        assert rooms.insides == []


async def test_an_invite_without_a_description_is_refused(tmp_path: Path) -> None:
    async with answering("-allow", "127.0.0.0/8") as (rooms, _, running):
        steps = Steps(ACCOUNT).invite(direction="").receive(100, optional=True)
        steps.receive(180, optional=True).receive(488).ack(refused=True)
        ran = await sipp(tmp_path, running.port, steps)
        assert (ran.code, ran.errors if ran.code else "") == (0, "")
        assert rooms.insides == []


async def test_twenty_ask_at_once_and_each_is_answered(tmp_path: Path) -> None:
    question, _ = await render_pcm("what time is it", sample_rate=8000)
    silence = ALAW.silence * 8000
    sound = tmp_path / "question.alaw"
    sound.write_bytes(silence * 3 + ALAW.encode(question) + silence * 40)
    async with answering() as (rooms, server, running):
        steps = Steps(ACCOUNT).called().play(sound).wait(40_000).bye().receive(200)
        async with started(tmp_path, running.port, steps, calls=20, timeout_s=200) as ending:
            await until(lambda: len(server.registry) == 20)
            ran = await ending
        assert (ran.code, ran.errors if ran.code else "") == (0, "")
        assert (ran.done, len(rooms.insides)) == (20, 20)
        for inside in rooms.insides:
            assert inside.said("user") == ["what time is it"]
            assert any("It is" in each for each in inside.said("assistant"))
