"""At the front door: who has used up the day is refused with a time, and uses nothing up."""

import asyncio

import pytest

from tests.support.front_door import NOW_S, Caller, House, Process, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.caps import NOTHING, Amounts, Caps, Payer
from voxwire_server.ports import SessionFacts
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.session import Session
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.ticket import Here, Refused

ADA, BOT = Payer("user", "ada"), Payer("bot", "a")
REST_MS = round((86_400 - NOW_S % 86_400) * 1000)


def used_up(whose: str, what: str) -> Refused:
    reason = f"this {whose} has used up the day's {what}; the next day begins at 00:00 UTC"
    return Refused(wire.ErrorCode.ERROR_CODE_CAPACITY, reason, REST_MS)


async def let_in(caller: Caller, process: Process) -> Session:
    answer = await caller.come(process)
    assert isinstance(answer, Here), answer
    return answer.session


async def spend(process: Process, payer: Payer, **amounts: int) -> None:
    await process.store.spend(payer, Amounts(**amounts), now_s=NOW_S)


@in_virtual_time
async def test_a_user_who_has_used_up_the_day_is_refused_with_a_time(time: VirtualTime) -> None:
    process = Process(clock=time, caps_per_user="turns=5,llm_tokens=100")
    await spend(process, ADA, turns=4, llm_tokens=99, seconds=10**6)
    session = await let_in(Caller(token_of(token_id="number-one")), process)
    await spend(process, ADA, llm_tokens=1)
    late = Caller(token_of(token_id="number-two"))
    assert process.directory.doorkeeper.refusal_of(late.ticket) is None  # nobody knows yet
    assert await late.come(process) == used_up("user", "language model tokens")
    assert process.directory.doorkeeper.refusal_of(late.ticket) == await late.come(process)
    assert not process.store.is_used("number-two")
    assert process.store.places_of("ada") == len(process.store) == 1
    await let_in(Caller(token_of("bob", token_id="number-three")), process)
    assert not session.over
    await process.close()


@in_virtual_time
async def test_of_token_and_server_the_lower_cap_counts(time: VirtualTime) -> None:
    process = Process(clock=time, caps_per_user="turns=5")
    await spend(process, ADA, turns=3, tts_characters=50)
    await let_in(Caller(token_of(token_id="token-one", turns_per_day=4)), process)
    less = Caller(token_of(token_id="token-two", turns_per_day=3))
    assert await less.come(process) == used_up("user", "turns")
    voice = Caller(token_of(token_id="token-three", tts_characters_per_day=50))
    assert await voice.come(process) == used_up("user", "speech synthesis characters")
    await spend(process, ADA, turns=2)
    more = Caller(token_of(token_id="token-four", turns_per_day=500))
    assert await more.come(process) == used_up("user", "turns")
    await process.close()


@in_virtual_time
async def test_a_bot_s_day_is_used_up_by_all_who_talk_to_it_with_a_token_or_without(
    time: VirtualTime,
) -> None:
    process = Process(clock=time, key="", caps_per_bot="seconds=60")
    session = await let_in(Caller(), process)
    await time.advance(59_500)
    assert not session.over
    await time.advance(1500)
    assert session.over
    await session.ended.wait()
    assert await Caller().come(process) == used_up("bot", "session time")
    await let_in(Caller(bot="b"), process)
    await process.close()


@in_virtual_time
async def test_what_a_session_has_spent_is_counted_in_the_end_and_its_client_told_why(
    time: VirtualTime,
) -> None:
    process = Process(clock=time)
    session = await let_in(Caller(token_of(turns_per_day=1)), process)
    said: dict[str | None, wire.Envelope] = {}
    session.outlet.tell(lambda each: said.update({each.WhichOneof("payload"): each}))
    await time.advance(1200)
    session.emit(transcript=wire.Transcript(turn_id="t1", final=True, text="hello"))
    session.emit_state(session.state.ready())
    await time.advance(10)
    spent = await process.store.spend(ADA, NOTHING, now_s=NOW_S)
    assert spent == Amounts(seconds=1, turns=1)
    await time.advance(2500)
    await session.ended.wait()
    assert said["go_away"].go_away.time_left_ms == 2000
    error = said["error"].error
    assert (error.code, error.fatal) == (wire.ErrorCode.ERROR_CODE_CAPACITY, True)
    assert error.retry_after_ms == REST_MS
    assert said["session_ended"].session_ended.reason == wire.EndReason.END_REASON_ERROR
    await process.close()
    spent = await process.store.spend(ADA, NOTHING, now_s=NOW_S)
    assert spent == Amounts(seconds=4, turns=1)


class Away(LocalStore):
    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        raise StoreUnreachableError


@in_virtual_time
async def test_without_a_store_nobody_with_a_cap_begins_and_everybody_else_does(
    time: VirtualTime,
) -> None:
    process = Process(Away(now_s=lambda: NOW_S), clock=time)
    capped = await Caller(token_of(token_id="token-one", turns_per_day=1)).come(process)
    assert (capped.code, capped.retry_after_ms) == (wire.ErrorCode.ERROR_CODE_CAPACITY, 1000)
    assert not process.store.is_used("token-one")
    session = await let_in(Caller(token_of(token_id="token-two")), process)
    await time.advance(60_000)
    assert not session.over
    assert session.facts == SessionFacts(
        bot="a",
        examples=("hello a",),
        user="ada",
        features=session.facts.features,
        token_expires_at_s=NOW_S + 300,
    )
    await process.close()


@in_virtual_time
async def test_of_many_of_one_user_at_once_none_begins_behind_the_cap(time: VirtualTime) -> None:
    process = Process(clock=time, caps_per_user="turns=1")
    await spend(process, ADA, turns=1)
    callers = [Caller(token_of(token_id=f"number-{number}")) for number in range(20)]
    answers = await asyncio.gather(*(each.come(process) for each in callers))
    assert set(answers) == {used_up("user", "turns")}
    assert not process.sessions
    await process.close()


@pytest.mark.parametrize(
    ("bot", "spent", "what"),
    [
        ("b", {"turns": 2}, "turns"),
        ("a", {"turns": 2}, ""),
        ("b", {"tts_characters": 10}, "speech synthesis characters"),
        ("a", {"tts_characters": 10**6}, ""),
        ("b", {"llm_tokens": 100}, "language model tokens"),
        ("a", {"llm_tokens": 100}, "language model tokens"),
    ],
)
@in_virtual_time
async def test_a_bot_s_own_caps_count_for_it_alone_and_of_the_rest_the_server_s(
    time: VirtualTime, bot: str, spent: dict[str, int], what: str
) -> None:
    house = House(b={"caps": Caps(turns=2, tts_characters=10)})
    process = Process(house=house, clock=time, key="", caps_per_bot="turns=5,llm_tokens=100")
    await spend(process, Payer("bot", bot), **spent)
    answer = await Caller(bot=bot).come(process)
    assert answer == used_up("bot", what) if what else isinstance(answer, Here)
    await process.close()


@in_virtual_time
async def test_a_bot_may_cost_more_than_the_server_says_of_bots_that_say_nothing(
    time: VirtualTime,
) -> None:
    house = House(b={"caps": Caps(turns=50)})
    process = Process(house=house, clock=time, key="", caps_per_bot="turns=5")
    for name in ("a", "b"):
        await spend(process, Payer("bot", name), turns=49)
    assert await Caller().come(process) == used_up("bot", "turns")
    session = await let_in(Caller(bot="b"), process)
    said: list[wire.Envelope] = []
    session.outlet.tell(said.append)
    session.emit(transcript=wire.Transcript(turn_id="t1", final=True, text="hello"))
    session.emit_state(session.state.ready())
    await time.advance(10_000)
    assert session.over
    [error] = [each.error for each in said if each.WhichOneof("payload") == "error"]
    assert error.reason == used_up("bot", "turns").reason
    await process.close()
