"""Recordings that are damaged, go on differently, or are dialled late; and what is not in them."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from virtual import Log, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, VirtualTime, record, replay
from voxwire.testing.redaction import without_secrets
from voxwire_protocol import wire

HEAD = '{"voxwire_recording": 1}\n'


def line(**told: Any) -> str:
    return json.dumps({"socket": 0, "after_ms": 0, **told}) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "5\n",
        HEAD + '"opened_after_ms"\n',
        HEAD + line(opened_after_ms=0) + '{"socket": 0, "after_ms"',
        HEAD + line(opened_after_ms=0) + line(data="no base64!"),
        HEAD + line(opened_after_ms=0) + line(data=7),
        HEAD + line(opened_after_ms=0) + line(socket=3, data=""),
        HEAD + line(opened_after_ms=float("nan")),
        HEAD + line(opened_after_ms=-1),
        HEAD + line(opened_after_ms=0) + line(after_ms=float("inf"), data=""),
        HEAD + line(opened_after_ms=0, socket=float("inf")),
        HEAD + line(opened_after_ms=0) + line(closed=float("inf")),
        HEAD + "[" * 100_000,
        HEAD + '{"socket": ' + "1" * 5000 + ', "opened_after_ms": 0}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused_as_such(tmp_path: Path, text: str) -> None:
    file = tmp_path / "damaged"
    file.write_text(text)
    with pytest.raises(voxwire.UsageError, match="damaged") as caught:
        replay(file)
    assert caught.value.code == voxwire.ErrorCode.INVALID_ARGUMENT


def test_bytes_are_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "bytes"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(voxwire.UsageError, match="bytes is no recording"):
        replay(file)


@virtual
async def test_a_server_that_was_slow_to_answer_is_a_timeout(tmp_path: Path) -> None:
    file = tmp_path / "slow"
    file.write_text(HEAD + line(opened_after_ms=20_000))
    environment = replay(file)
    with pytest.raises(voxwire.TransportError, match="did not answer in time") as caught:
        await environment.dial("ws://there", timeout_ms=1000)
    assert caught.value.code == voxwire.ErrorCode.TIMEOUT
    with pytest.raises(voxwire.TransportError) as caught:
        async with voxwire.connect("ws://there", environment=environment):
            pytest.fail("it is in")
    assert caught.value.code == voxwire.ErrorCode.TIMEOUT


@virtual
async def test_a_dial_that_is_given_up_takes_nothing_from_the_next(
    time: VirtualTime, tmp_path: Path
) -> None:
    file = tmp_path / "two"
    text = HEAD
    for number in range(2):
        text += line(socket=number, opened_after_ms=900)
        text += line(socket=number, data=base64.b64encode(b"%d" % number).decode())
    file.write_text(text)
    environment = replay(file)
    given_up = asyncio.create_task(environment.dial("ws://there", timeout_ms=5000))
    await time.advance(500)
    second = asyncio.create_task(environment.dial("ws://there", timeout_ms=5000))
    await time.advance(100)
    given_up.cancel()
    assert await (await second).receive() == b"0"
    assert await (await environment.dial("ws://there", timeout_ms=5000)).receive() == b"1"


async def slow_bot(session: FakeSession) -> None:
    await session.text()
    await session.say("one two three four five")
    await session.text()
    await session.say("six")


@virtual
async def test_a_network_that_was_slow_when_it_came_back_comes_back_so_again(
    time: VirtualTime, tmp_path: Path
) -> None:
    file = tmp_path / "talk.voxrec"

    async def hold(environment: Any, *, slow: Any) -> list[Any]:
        async with voxwire.connect("ws://there", environment=environment) as session:
            log = Log(session, time)
            await session.send_text("go")
            await time.advance(500)
            slow()
            session.simulate.drop_control()
            await time.advance(6000)
            await session.send_text("on")
            await log.over()
        return [it.text for it in log.of(voxwire.BotWord)]

    async with FakeServer(slow_bot) as server:
        with record(file, server.environment) as environment:
            before = await hold(
                environment, slow=lambda: setattr(server.network, "latency_ms", 800)
            )
    assert before[-1] == "six"
    assert await hold(replay(file), slow=lambda: None) == before


def test_nothing_that_opens_anything_is_kept() -> None:
    welcome = wire.Welcome(resume_token=b"CANARY", resume_url="ws://host/v1?token=CANARY")
    welcome.ice_servers.add(urls=["turn:host"], username="CANARY", credential="CANARY")
    said = [
        wire.Envelope(seq=1, welcome=welcome),
        wire.Envelope(seq=2, go_away=wire.GoAway(resume_url="ws://CANARY@host/v1?token=CANARY")),
        wire.Envelope(seq=3, tool_request=wire.ToolRequest(name="pay", call_token=b"CANARY")),
        wire.Envelope(
            seq=4, ice_servers_update=wire.IceServersUpdate(ice_servers=welcome.ice_servers)
        ),
        wire.Envelope(seq=5, path_answer=wire.PathAnswer(room_token="CANARY")),
    ]
    for envelope in said:
        kept = without_secrets(envelope.SerializeToString())
        assert b"CANARY" not in kept
        assert wire.Envelope.FromString(kept).seq == envelope.seq
    moved = wire.Envelope.FromString(without_secrets(said[1].SerializeToString()))
    assert moved.go_away.resume_url == "ws://host/v1"
    text = wire.Envelope(seq=9, send_text=wire.SendText(text="hi")).SerializeToString()
    assert without_secrets(text) == text
