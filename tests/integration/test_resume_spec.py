"""Every cell of the table in protocol/spec/session.md, "Resuming", happens on the real server.

A session that is over is tried twice: while its bot still ends, and when nothing of it is left.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.cases import (
    KEY,
    NO_RESUME,
    Case,
    attached,
    case_of,
    ended,
    ending,
    issue,
    name,
    parked,
)
from tests.support.inside import last_sent, lose, receive
from tests.support.raw import RawClient
from tests.support.tables import cells
from voxwire_protocol import wire
from voxwire_server.config import Settings

TABLE = cells("session.md", "event")
NOTHING = b"\xff"

SETTINGS: dict[str, dict[str, Any]] = {
    "grace_ms over": {"grace_ms": 250},
    "silent for 5 s": {"dead_after_ms": 300, "heartbeat_ms": 50},
    "resume, other user": {"key": KEY},
}
STATES = {"ATTACHED": [attached], "PARKED": [parked], "ENDED": [ending, ended]}


# what happens


async def new_nonce(case: Case) -> str:
    return await case.ask(RawClient(case.server.url).hello())


async def first_nonce(case: Case) -> str:
    return await case.ask(case.first_hello)


async def good_token(case: Case) -> str:
    before, now = case.links[-1], case.state
    answer = await case.ask(case.hello())
    if now == "ATTACHED":
        await case.client.until(lambda: case.client.close_code is not None)
        assert case.client.close_code == 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED
        assert case.session.link is not before
    return answer


async def nonce_of_a_resume(case: Case) -> str:
    return await case.ask(await unheard_resume(case))


async def unheard_resume(case: Case) -> wire.Hello:
    """A resume whose Welcome is lost on the way, and its socket too if there was none before."""
    hello, before = case.hello(), case.state
    first = await case.dial(hello)
    if first.HasField("welcome"):
        case.repeated.append(first.welcome)
    if before == "PARKED":
        await case.opened[-1].drop()
        await case.becomes("PARKED")
    return hello


async def older_first_nonce(case: Case) -> str:
    await another_attach(case)
    return await case.ask(case.first_hello)


async def older_nonce_of_a_resume(case: Case) -> str:
    hello = await unheard_resume(case)
    await another_attach(case)
    return await case.ask(hello)


async def another_attach(case: Case) -> None:
    """The session is resumed, and is then in the state that it was in."""
    now = case.state
    answer = await case.ask(case.hello())
    assert answer == ("resumed" if now != "ENDED" else "SESSION_EXPIRED")
    if now == "PARKED":
        await case.opened[-1].drop()
        await case.becomes("PARKED")


async def wrong_token(case: Case) -> str:
    return await case.ask(case.hello(resume_token=os.urandom(16)))


async def other_origin(case: Case) -> str:
    return await case.ask(case.hello(), origin=f"http://127.0.0.1:{case.server.port}")


async def other_user(case: Case) -> str:
    return await case.ask(case.hello(token=issue("bob")))


async def never_sent(case: Case) -> str:
    return await case.ask(case.hello(last_seq=1_000_000))


async def gone(case: Case) -> str:
    return await after_a_loss(case, case.hello())


async def first_nonce_gone(case: Case) -> str:
    return await after_a_loss(case, case.first_hello)


async def after_a_loss(case: Case, hello: wire.Hello) -> str:
    case.client.quiet = True
    for number in range(3000):
        case.session.emit(app_message=wire.AppMessage(type="n", data_json=str(number)))
    return await case.ask(hello)


async def socket_lost(case: Case) -> str:
    await case.client.drop()
    await asyncio.sleep(0.05)  # real time: moment
    return ""


async def silent(case: Case) -> str:
    assert Settings().dead_after_ms == 5000
    was_over = case.session.over
    case.client.quiet = True
    if was_over:
        await asyncio.sleep(0.5)  # real time: silence
        return ""
    await case.client.until(lambda: case.client.close_code is not None)
    assert case.client.close_code is not None
    return name(case.client.close_code - 4000)


async def superseded_speaks(case: Case) -> str:
    """A socket that was taken over from: it says Bye, and nonsense."""
    old = case.links[0]
    await another_attach(case)
    sent = last_sent(case.session)
    bye = wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString()
    if case.session.link is old:
        lose(case.session, old)
    for data in (bye, NOTHING, NOTHING, NOTHING):
        assert receive(case.session, data, old) == 0
    assert last_sent(case.session) == sent
    return ""


async def bye(case: Case) -> str:
    was_over = case.session.over
    try:
        await case.client.send(bye=wire.Bye())
    except ConnectionClosed:
        assert was_over
        return ""
    return "" if was_over else ended_as((await case.said("session_ended")).reason)


def ended_as(reason: wire.EndReason) -> str:
    return wire.EndReason.Name(reason).removeprefix("END_REASON_")


async def three_bad(case: Case) -> str:
    was_over = case.session.over
    try:
        for _ in range(3):
            await case.client.send_raw(NOTHING)
    except ConnectionClosed:
        assert was_over
    if was_over:
        return ""
    assert ended_as((await case.said("session_ended")).reason) == "ERROR"
    await case.client.until(lambda: case.client.close_code is not None)
    fatal = [error for error in case.client.of("error") if error.fatal]
    assert [4000 + error.code for error in fatal] == [case.client.close_code]
    return name(fatal[0].code)


async def bot_ends(case: Case) -> str:
    before = case.state
    case.stop.set()
    return await end_of(case, before)


async def server_ends(case: Case) -> str:
    before = case.state
    case.linger.set()
    await case.server.registry.close(5000)
    return await end_of(case, before)


async def end_of(case: Case, before: str) -> str:
    if before != "ATTACHED":
        return ""
    return ended_as((await case.said("session_ended")).reason)


async def grace_over(case: Case) -> str:
    if case.state == "ATTACHED":
        await case.client.drop()
        await case.becomes("PARKED")
        assert await case.ask(case.hello()) == "resumed"
    await asyncio.sleep(0.4)  # real time: timeout
    if case.reason == "EXPIRED":
        assert case.session.settings.grace_ms == 250
        assert Settings().grace_ms == 60_000
    return ""


async def fails(case: Case) -> str:
    code = wire.ErrorCode.ERROR_CODE_INTERNAL
    case.session.end(wire.EndReason.END_REASON_ERROR, wire.Error(code=code, fatal=True))
    return ""


EVENTS: dict[str, Callable[[Case], Awaitable[str]]] = {
    "Hello, new nonce": new_nonce,
    "Hello, nonce of its first attach": first_nonce,
    "Hello, nonce of its first attach, resumed since": older_first_nonce,
    "Hello, nonce of its first attach, what is missing is gone": first_nonce_gone,
    "resume, good token": good_token,
    "resume, nonce of a resume": nonce_of_a_resume,
    "resume, nonce of a resume, resumed since": older_nonce_of_a_resume,
    "resume, wrong token": wrong_token,
    "resume, other Origin": other_origin,
    "resume, other user": other_user,
    "resume, last_seq never sent": never_sent,
    "resume, what is missing is gone": gone,
    "socket lost": socket_lost,
    NO_RESUME: socket_lost,
    "silent for 5 s": silent,
    "a superseded socket speaks": superseded_speaks,
    "Bye": bye,
    "three bad messages": three_bad,
    "the bot ends": bot_ends,
    "the server ends": server_ends,
    "grace_ms over": grace_over,
    "a limit is reached, or a part of it fails": fails,
}
WITHOUT_A_SOCKET = {"socket lost", NO_RESUME, "silent for 5 s", "Bye", "three bad messages"}


def test_every_row_and_column_is_tried() -> None:
    assert {row for row, _ in TABLE} == set(EVENTS)
    assert {column for _, column in TABLE} == set(STATES)
    assert {cell for cell, text in TABLE.items() if text == "—"} == {
        (row, "PARKED") for row in WITHOUT_A_SOCKET
    }


@pytest.mark.parametrize("row", EVENTS)
async def test_a_row(row: str) -> None:
    tried = [
        try_cell(row, column, begin)
        for column, begins in STATES.items()
        for begin in begins
        if TABLE[row, column] != "—"
    ]
    assert [found for found in await asyncio.gather(*tried) if found is not None] == []


async def try_cell(row: str, column: str, begin: Callable[[Case], Awaitable[None]]) -> str | None:
    """What is wrong with a cell, if anything is."""
    state, _, answer = TABLE[row, column].partition(", ")
    async with case_of(row, **SETTINGS.get(row, {})) as case:
        await begin(case)
        before, reason = case.state, case.reason
        got = await EVENTS[row](case)
        await case.becomes(state)
        if state == "ENDED" and column != "ENDED":
            await case.session.ended.wait()
        case.linger.set()
        await asyncio.sleep(0.02)  # real time: silence
        last = [e.WhichOneof("payload") for e in case.client.events]
        right = (
            (before, case.state, got) == (column, state, answer)
            and (column != "ENDED" or case.reason == reason)  # the first one counts
            and "session_ended" not in last[:-1]
        )
        found = f"{before} -> {case.state}, {got!r}; {reason} -> {case.reason}; {last}"
        return None if right else f"{row}, {begin.__name__}: {found}"


@pytest.mark.parametrize("row", sorted(WITHOUT_A_SOCKET - {NO_RESUME}))
async def test_a_parked_session_has_no_socket_that_could(row: str) -> None:
    async with case_of(row, **SETTINGS.get(row, {})) as case:
        await parked(case)
        [link] = case.links
        assert case.session.link is None
        lose(case.session, link)
        bye = wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString()
        for data in (bye, NOTHING, NOTHING, NOTHING):
            receive(case.session, data, link)
        await asyncio.sleep(0.4 if row == "silent for 5 s" else 0)  # real time: timeout
        assert case.state == "PARKED"


async def test_without_resume_no_session_is_ever_parked() -> None:
    async with case_of(NO_RESUME) as case:
        await case.client.drop()
        await case.becomes("ENDED")
        assert case.reason == "ERROR"


async def test_nothing_is_said_after_session_ended() -> None:
    async with case_of("the bot ends") as case:

        async def late() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                case.session.emit_error(wire.ErrorCode.ERROR_CODE_MALFORMED, "too late")

        case.session.spawn(late())
        await asyncio.sleep(0)
        case.stop.set()
        await case.client.until(lambda: case.client.close_code is not None)
        assert [e.WhichOneof("payload") for e in case.client.events][-1] == "session_ended"
