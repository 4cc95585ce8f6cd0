"""No part of a session dies unseen: the session ends with an error, or the part's item is told."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_server.config import Settings
from voxwire_server.pipeline.drops import Drops
from voxwire_server.session.session import Session

INTERNAL = wire.ErrorCode.ERROR_CODE_INTERNAL


async def forever(_: Session) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def session() -> Session:
    return Session("s", settings=Settings(), run_bot=forever)


@pytest.fixture
async def told(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[wire.Envelope]:
    envelopes: list[wire.Envelope] = []
    monkeypatch.setattr(session.outlet, "send", envelopes.append)
    return envelopes


def fail(*_: Any) -> None:
    raise RuntimeError("secret")


async def fail_later() -> None:
    fail()


def in_a_task(session: Session) -> None:
    session.spawn(fail_later())


def in_a_timer(session: Session) -> None:
    session.clock.call_later(0, fail)


@pytest.mark.parametrize("die", [in_a_task, in_a_timer])
async def test_the_death_of_a_part_ends_the_session_with_an_error(
    session: Session, told: list[wire.Envelope], die: Callable[[Session], None]
) -> None:
    running = asyncio.create_task(session.run())
    await asyncio.sleep(0)
    die(session)
    async with asyncio.timeout(60):
        await running
    [error] = [e.error for e in told if e.HasField("error")]
    assert (error.code, error.fatal) == (INTERNAL, True)
    assert "secret" not in error.reason
    assert told[-1].session_ended.reason == wire.EndReason.END_REASON_ERROR


async def test_what_fails_on_its_own_is_told_with_its_own_cause_and_nothing_else_ends(
    session: Session, told: list[wire.Envelope]
) -> None:
    drops = Drops(session, session_id=session.id, may_answer=lambda: True)
    drops.guarded(fail, "words of u1")()

    async def refused(*_: Any) -> None:
        raise make_error(ErrorCode.UNSUPPORTED_FORMAT, "9 bytes are no int16 PCM")

    await drops.watch(refused)(None, "a frame")
    internal, own = [e.error for e in told]
    assert (internal.code, internal.reason) == (INTERNAL, "words of u1 was dropped: RuntimeError")
    assert own.code == wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT
    assert own.reason == "a frame was dropped: 9 bytes are no int16 PCM"
    assert not session.over


async def test_a_message_above_the_channels_limit_is_left_out_and_told(session: Session) -> None:
    channel = session.numbered
    assert channel is not None
    before = channel.last_sent
    session.emit(response_text=wire.ResponseText(text="x" * 2_000_000))
    assert channel.last_sent == before + 1  # the error in its place
    session.emit(response_text=wire.ResponseText(text="x"))
    assert channel.last_sent == before + 2
