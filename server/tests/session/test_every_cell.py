"""Both tables on a session that runs: each cell happens, and nothing but the cell decides.

For each cell there is one way to bring it about. It is gone three ways: as the table is, to what
the specification's cell says; and with the cell turned into others, which must show.
"""

import ast
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.front_door import token_of
from tests.support.kernel import FEATURES, Client, HeldStore, Kernel, Line, channel_of, name_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server import lifecycle
from voxwire_server.lifecycle import Answer, Cell, Event, Life, OutOfTurnError, State
from voxwire_server.playout import gap_rules
from voxwire_server.playout.gap_rules import GapEvent, VoiceState

SOURCES = Path(lifecycle.__file__).parent
NOTHING = b"\xff"
LONG_MS = 600_000
SHORT_MS = 1000
CELLS = {at: cell for at, cell in lifecycle.RULES.items() if cell is not None}
NEVER = [at for at, cell in lifecycle.RULES.items() if cell is None]
_SERVER = wire.EndReason.END_REASON_SERVER


class Case:
    """A session, the client that opened it, and what is prepared for an event."""

    def __init__(self, kernel: Kernel, client: Client, state: State) -> None:
        self.kernel, self.client, self.state = kernel, client, state
        self.session = client.live
        self.hello = wire.Hello()
        self.old: Line | None = None

    async def advance(self, delay_ms: float) -> None:
        await self.kernel.time.advance(delay_ms)

    def drop(self) -> None:
        """Cut whatever carries the session."""
        for line in self.client.lines:
            line.drop()

    async def settle(self) -> None:
        await self.kernel.time.settle()

    def speak(self, *messages: bytes) -> None:
        assert self.old is not None
        for data in messages:
            channel_of(self.session).receive(data, self.old.link)


Step = Callable[[Case], Awaitable[str]]


# what is done while the session is attached still


async def nothing(case: Case) -> str:
    return ""


async def resumed_once(case: Case) -> str:
    case.old = case.client.line
    return await case.client.ask(case.client.hello())


async def resumed_unseen(case: Case) -> str:
    case.hello = case.client.hello()
    return await case.client.ask(case.hello, unseen=True)


async def resumed_unseen_twice(case: Case) -> str:
    await resumed_unseen(case)
    return await case.client.ask(case.client.hello(), unseen=True)


async def hello_said(case: Case) -> str:
    case.hello = case.client.hello()
    return ""


async def parked_before(case: Case) -> str:
    """Its time of grace runs, or has run and was of no account."""
    case.drop()
    await case.settle()
    if case.state is State.ATTACHED:
        return await case.client.ask(case.client.hello())
    return ""


# what happens


async def first_hello_much_later(case: Case) -> str:
    await case.advance(61_000)
    return await first_hello(case)


async def first_hello(case: Case) -> str:
    assert case.client.first_hello is not None
    return await case.client.ask(case.client.first_hello)


async def first_hello_after_a_loss(case: Case) -> str:
    await flood(case)
    return await first_hello(case)


async def flood(case: Case) -> None:
    """More is said than is kept; the client has nothing of it."""
    assert case.client.line is not None
    case.client.line.dead = True
    for _ in range(12):
        case.session.emit(app_message=wire.AppMessage(type="n", data_json='"' + 60_000 * "x" + '"'))
        await case.settle()


async def resume(case: Case) -> str:
    return await case.client.ask(case.client.hello())


async def same_resume(case: Case) -> str:
    return await case.client.ask(case.hello)


async def resume_after_a_loss(case: Case) -> str:
    await flood(case)
    return await same_resume(case)


async def wrong_token(case: Case) -> str:
    return await case.client.ask(case.client.hello(resume_token=bytes(16)))


async def other_origin(case: Case) -> str:
    return await case.client.ask(case.client.hello(), origin=b"https://elsewhere.example")


async def other_user(case: Case) -> str:
    token = token_of("bob", token_id="token-of-bob")
    return await case.client.ask(case.client.hello(token=token))


async def never_sent(case: Case) -> str:
    return await case.client.ask(case.client.hello(last_seq=1_000_000))


async def lost(case: Case) -> str:
    case.drop()
    return ""


async def silent(case: Case) -> str:
    assert case.client.line is not None
    case.client.line.dead = True
    await case.advance(6000)
    if case.state is not State.ATTACHED:
        return ""
    assert case.client.line.closed is not None
    return name_of(case.client.line.closed - 4000)


async def superseded_speaks(case: Case) -> str:
    bye = wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString()
    case.speak(bye, NOTHING, NOTHING, NOTHING)
    return ""


async def bye(case: Case) -> str:
    case.client.say(bye=wire.Bye())
    return await ended_as(case)


async def bad_messages(case: Case) -> str:
    case.old = case.client.line
    case.speak(NOTHING, NOTHING, NOTHING)
    if case.state is not State.ATTACHED:
        return ""
    await ended_as(case)
    [error] = [error for error in case.client.of("error") if error.fatal]
    return name_of(error.code)


async def bot_ends(case: Case) -> str:
    case.client.bot.stop.set()
    case.client.bot.linger.set()
    for _ in range(20):  # what is over is so all the way to its end
        await asyncio.sleep(0)
        assert case.session.over or case.state is not State.ENDED
    return await ended_as(case)


async def server_ends(case: Case) -> str:
    for session in case.kernel.process.sessions:  # as SessionRegistry.close does
        session.end(_SERVER)
    return await ended_as(case)


async def ended_as(case: Case) -> str:
    if case.state is not State.ATTACHED:
        return ""
    await case.settle()
    [ended] = case.client.of("session_ended")
    return wire.EndReason.Name(ended.reason).removeprefix("END_REASON_")


async def grace_over(case: Case) -> str:
    await case.advance(SHORT_MS + 1)
    return ""


async def fails(case: Case) -> str:
    async def fail() -> None:
        raise RuntimeError("a part of it fails")

    case.session.spawn(fail())
    return ""


HOW: dict[Event, tuple[Step, Step]] = {
    Event.HELLO_NEW: (nothing, first_hello_much_later),
    Event.HELLO_AGAIN: (nothing, first_hello),
    Event.HELLO_STALE: (resumed_once, first_hello),
    Event.HELLO_GONE: (nothing, first_hello_after_a_loss),
    Event.RESUME: (nothing, resume),
    Event.RESUME_AGAIN: (resumed_unseen, same_resume),
    Event.RESUME_STALE: (resumed_unseen_twice, same_resume),
    Event.WRONG_TOKEN: (nothing, wrong_token),
    Event.OTHER_ORIGIN: (nothing, other_origin),
    Event.OTHER_USER: (nothing, other_user),
    Event.NEVER_SENT: (nothing, never_sent),
    Event.RESUME_GONE: (hello_said, resume_after_a_loss),
    Event.LOST: (nothing, lost),
    Event.LOST_FOR_GOOD: (nothing, lost),
    Event.SILENT: (nothing, silent),
    Event.STALE_SPEAKS: (resumed_once, superseded_speaks),
    Event.BYE: (nothing, bye),
    Event.BAD_MESSAGES: (nothing, bad_messages),
    Event.BOT_ENDS: (nothing, bot_ends),
    Event.SERVER_ENDS: (nothing, server_ends),
    Event.GRACE_OVER: (parked_before, grace_over),
    Event.FAILS: (nothing, fails),
}
HELLOS = [event for event in Event if event.value.startswith(("Hello", "resume"))]


async def try_cell(time: VirtualTime, event: Event, state: State) -> None:
    """Bring the cell about, then end everything.

    Raises:
        AssertionError: The session does not become, or the client is not answered, what the
            specification says; or something is left of it.
    """
    grace_ms = SHORT_MS if event is Event.GRACE_OVER else LONG_MS
    store = HeldStore()
    kernel = Kernel(time, store=store, grace_ms=grace_ms, end_timeout_ms=LONG_MS)
    resumable = event is not Event.LOST_FOR_GOOD
    client = await kernel.client(
        features=FEATURES if resumable else FEATURES - {wire.Feature.FEATURE_RESUME},
        token=token_of() if event is Event.OTHER_USER else "",
    )
    try:
        await happens_in(Case(kernel, client, state), event)
    finally:
        store.free.set()
        await kernel.close()
    assert len(store) == 0


async def happens_in(case: Case, event: Event) -> None:
    prepare, happen = HOW[event]
    await prepare(case)
    await become(case)
    assert case.session.life.state is case.state
    got = await happen(case)
    await case.settle()
    cell = CELLS[event, case.state]
    assert case.session.life.state is cell.state
    assert got == cell.answer.value.replace("`", "")
    if cell.state is not State.ENDED:
        assert (case.session.link is not None) == (cell.state is State.ATTACHED)


async def become(case: Case) -> None:
    """Have the session be in the state of the case; one that is over has a bot that is not."""
    if case.state is State.PARKED:
        case.drop()
    elif case.state is State.ENDED:
        case.client.bot.linger.clear()
        case.session.end(_SERVER)
    await case.settle()


def test_every_row_can_be_brought_about() -> None:
    assert set(HOW) == set(Event)


@pytest.mark.parametrize(("event", "state"), CELLS)
@in_virtual_time
async def test_a_session_becomes_and_answers_what_the_cell_says(
    event: Event, state: State, time: VirtualTime
) -> None:
    await try_cell(time, event, state)


@pytest.mark.parametrize(("event", "state"), CELLS)
def test_a_session_becomes_what_another_cell_says(
    event: Event, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = CELLS[event, state]
    for other in State:
        if other is not cell.state:
            monkeypatch.setitem(lifecycle.RULES, (event, state), cell._replace(state=other))
            assert shows(lambda time: try_cell(time, event, state)), other


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", HELLOS)
def test_a_client_is_answered_what_another_cell_says(
    event: Event, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = CELLS[event, state]
    other = Answer.SUPERSEDED if cell.answer is not Answer.SUPERSEDED else Answer.MALFORMED
    monkeypatch.setitem(lifecycle.RULES, (event, state), Cell(cell.state, other))
    assert shows(lambda time: try_cell(time, event, state))


def shows(check: Callable[[VirtualTime], Any]) -> bool:
    """Whether a check of a cell is red."""
    time = VirtualTime()
    try:
        time.run(check(time))
    except Exception:
        return True
    return False


@pytest.mark.parametrize(("event", "state"), NEVER)
@in_virtual_time
async def test_what_cannot_happen_is_refused_and_changes_nothing(
    event: Event, state: State, time: VirtualTime
) -> None:
    kernel = Kernel(time)
    client = await kernel.client()
    case = Case(kernel, client, state)
    await become(case)
    session = case.session
    malformed = wire.Error(code=wire.ErrorCode.ERROR_CODE_MALFORMED)
    causes: dict[Event, Callable[[], object]] = {
        Event.LOST: lambda: session.lost(0.0),
        Event.LOST_FOR_GOOD: lambda: session.life.on(event),  # it would not be parked
        Event.SILENT: lambda: session.lost(0.0, silent=True),
        Event.BYE: lambda: session.end(wire.EndReason.END_REASON_CLIENT),
        Event.BAD_MESSAGES: lambda: session.end(wire.EndReason.END_REASON_ERROR, malformed),
    }
    with pytest.raises(OutOfTurnError):
        causes[event]()
    assert session.life.state is state
    assert await client.ask(client.hello()) == "resumed"
    await kernel.close()


# the bot's voice

VOICE = {at: state for at, state in gap_rules.RULES.items() if state is not None}
Do = Callable[[Client], Awaitable[None]]
AT = VoiceState
OF = GapEvent


async def settle(client: Client) -> None:
    await client.kernel.time.settle()


async def pass_ms(client: Client, delay_ms: float) -> None:
    await client.kernel.time.advance(delay_ms)


async def say(client: Client) -> None:
    client.bot.say(8000)
    await settle(client)


async def playing(client: Client) -> None:
    await opens(client)
    await say(client)


async def opens(client: Client) -> None:
    client.open_path()
    await settle(client)
    assert client.path == client.paths


async def closes(client: Client) -> None:
    client.say(path_close=wire.PathClose(path_id=client.path))
    await settle(client)
    client.path = 0


async def loses(client: Client) -> None:
    assert client.line is not None
    client.line.drop()
    await settle(client)


async def suspends(client: Client) -> None:
    client.report(suspended=True)
    await settle(client)


async def plays(client: Client) -> None:
    client.report()
    await settle(client)


async def waiting(client: Client) -> None:
    await playing(client)
    await closes(client)


async def suspended(client: Client) -> None:
    await playing(client)
    await suspends(client)


async def cut(client: Client) -> None:
    await waiting(client)
    await pass_ms(client, 2001)


async def cut_suspended(client: Client) -> None:
    await suspended(client)
    await pass_ms(client, 3001)


async def waiting_in_silence(client: Client) -> None:
    await opens(client)
    await closes(client)


async def suspended_in_silence(client: Client) -> None:
    await opens(client)
    await suspends(client)


async def open_only(client: Client) -> None:
    await opens(client)


async def back_in_time(client: Client) -> None:
    """A gap is over, and its limit is still to come."""
    await waiting(client)
    await pass_ms(client, 100)
    await opens(client)


async def back_and_suspended(client: Client) -> None:
    await back_in_time(client)
    await suspends(client)


async def back_and_cut(client: Client) -> None:
    await back_and_suspended(client)
    await pass_ms(client, 501)


async def played_again(client: Client) -> None:
    await suspended(client)
    await plays(client)


async def suspended_and_lost(client: Client) -> None:
    await suspended(client)
    await closes(client)


async def suspended_lost_and_cut(client: Client) -> None:
    await suspended_and_lost(client)
    await pass_ms(client, 501)


async def gap_over(client: Client) -> None:
    await pass_ms(client, 2001)


async def suspended_over(client: Client) -> None:
    await pass_ms(client, 3001)


WAYS: dict[tuple[VoiceState, GapEvent], tuple[Do, Do]] = {
    (AT.PLAYING, OF.PATH_LOST): (playing, closes),
    (AT.PLAYING, OF.PATH_OPENED): (playing, opens),
    (AT.PLAYING, OF.GAP_OVER): (back_in_time, gap_over),
    (AT.PLAYING, OF.SUSPENDED): (playing, suspends),
    (AT.PLAYING, OF.PLAYS_AGAIN): (playing, plays),
    (AT.PLAYING, OF.SUSPENDED_OVER): (played_again, suspended_over),
    (AT.PLAYING, OF.SPEAKS): (open_only, say),
    # a lost socket loses the path twice: with the channel, and when it is dropped
    (AT.WAITING, OF.PATH_LOST): (playing, loses),
    (AT.WAITING, OF.PATH_OPENED): (waiting, opens),
    (AT.WAITING, OF.GAP_OVER): (waiting, gap_over),
    # the bot speaks to one who still cannot play: by way of WAITING
    (AT.WAITING, OF.SUSPENDED): (cut_suspended, say),
    (AT.WAITING, OF.SUSPENDED_OVER): (suspended_and_lost, suspended_over),
    (AT.WAITING, OF.SPEAKS): (waiting_in_silence, say),
    (AT.SUSPENDED, OF.PATH_LOST): (suspended, closes),
    (AT.SUSPENDED, OF.PATH_OPENED): (suspended, opens),
    (AT.SUSPENDED, OF.GAP_OVER): (back_and_suspended, gap_over),
    (AT.SUSPENDED, OF.SUSPENDED): (suspended, suspends),
    (AT.SUSPENDED, OF.PLAYS_AGAIN): (suspended, plays),
    (AT.SUSPENDED, OF.SUSPENDED_OVER): (suspended, suspended_over),
    (AT.SUSPENDED, OF.SPEAKS): (suspended_in_silence, say),
    (AT.CUT, OF.PATH_LOST): (cut_suspended, closes),
    (AT.CUT, OF.PATH_OPENED): (cut, opens),
    (AT.CUT, OF.GAP_OVER): (back_and_cut, gap_over),
    (AT.CUT, OF.SUSPENDED): (cut_suspended, suspends),
    (AT.CUT, OF.PLAYS_AGAIN): (cut_suspended, plays),
    (AT.CUT, OF.SUSPENDED_OVER): (suspended_lost_and_cut, suspended_over),
    (AT.CUT, OF.SPEAKS): (cut, say),
}
BEGINS = {(AT.WAITING, OF.PATH_LOST): AT.PLAYING, (AT.WAITING, OF.SUSPENDED): AT.CUT}
"""Cells that are passed within one step begin earlier."""
LIMITS = {
    (AT.WAITING, OF.SUSPENDED_OVER): (LONG_MS, 3000),
    (AT.CUT, OF.GAP_OVER): (2000, 500),
    (AT.CUT, OF.SUSPENDED_OVER): (500, 3000),
}
"""Milliseconds that the voice waits in a gap, and for one who cannot play."""


async def try_voice(time: VirtualTime, at: tuple[VoiceState, GapEvent]) -> None:
    """Bring the cell about; raises AssertionError when the voice becomes something else."""
    voice_gap_ms, suspended_ms = LIMITS.get(at, (2000, 3000))
    kernel = Kernel(time, voice_gap_ms=voice_gap_ms, suspended_ms=suspended_ms)
    client = await kernel.client()
    client.answers = False
    voice, (begin, happens) = client.live.voice, WAYS[at]
    await begin(client)
    before = BEGINS.get(at, at[0])
    assert voice.state is before
    changed = asyncio.ensure_future(voice.changed())
    await time.settle()
    await happens(client)
    assert voice.state is VOICE[at]
    assert changed.done() == (before is not VOICE[at])


def test_every_cell_of_the_voice_can_be_brought_about() -> None:
    assert set(WAYS) == set(VOICE)


@pytest.mark.parametrize(("state", "event"), WAYS)
@in_virtual_time
async def test_a_voice_becomes_what_the_cell_says(
    state: VoiceState, event: GapEvent, time: VirtualTime
) -> None:
    await try_voice(time, (state, event))


@pytest.mark.parametrize(("state", "event"), WAYS)
def test_a_voice_becomes_what_another_cell_says(
    state: VoiceState, event: GapEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = state, event
    for other in VoiceState:
        if other is not VOICE[at]:
            monkeypatch.setitem(gap_rules.RULES, at, other)
            assert shows(lambda time: try_voice(time, at)), other


@in_virtual_time
async def test_nobody_who_is_away_plays_again(time: VirtualTime) -> None:
    kernel = Kernel(time)
    client = await kernel.client()
    await waiting(client)
    gap = vars(client.live.voice)["_gap"]
    with pytest.raises(LookupError):
        gap._happens(OF.PLAYS_AGAIN)
    client.path = client.paths  # one that says so of a path that is gone
    await plays(client)
    assert client.live.voice.state is AT.WAITING


# nothing else


@pytest.mark.parametrize(
    ("module", "owner", "attribute"),
    [
        ("lifecycle.py", "Life", "_state"),
        ("playout/gap.py", "Gap", "_state"),
    ],
)
def test_one_line_assigns_the_state(module: str, owner: str, attribute: str) -> None:
    tree = ast.parse((SOURCES / module).read_text("utf-8"))
    [owning] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == owner]
    functions = [n for n in owning.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [f.name for f in functions for node in ast.walk(f) if assigns(node, attribute)]
    assert sorted(found) == ["__init__", "_happens" if owner == "Gap" else "on"]


def test_nobody_reaches_into_the_state_of_another() -> None:
    reached = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "_state"
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert reached == []


def test_nobody_sets_the_state_by_its_name() -> None:
    """No ``setattr``, ``__dict__`` or ``vars`` where a state is held; no subclass of its holder."""
    for module in ("lifecycle.py", "playout/gap.py"):
        tree = ast.parse((SOURCES / module).read_text("utf-8"))
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        assert not names & {"setattr", "vars", "__dict__", "__setattr__"}
    assert Life.__subclasses__() == []


def assigns(node: ast.AST, attribute: str) -> bool:
    """Whether a node puts something into ``self.<attribute>``, however it is written."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.ctx, ast.Store | ast.Del)
    )
