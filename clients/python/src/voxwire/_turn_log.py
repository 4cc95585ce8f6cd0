"""What makes the turn log of events. Pure; TypeScript has the same (``core/conversation.ts``)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from voxwire._logged import cut_short, ended, with_heard, with_words
from voxwire.conversation import (
    BotTurn,
    CallStatus,
    Conversation,
    LoggedToolCall,
    LoggedUtterance,
    UserTurn,
)
from voxwire_protocol import events
from voxwire_protocol.text_join import join_texts

__all__ = ["MAX_TURNS", "TurnLog"]

_ValueT = TypeVar("_ValueT")

MAX_TURNS: Final = 500
"""Turns that are kept; the oldest go first."""

_MAX_OWN_CALLS: Final = 256
_MAX_RESPONSES: Final = 64
_MAX_SAID: Final = 8
"""Turns of the user that pieces may still come for."""

_STATUS: Final[dict[events.ToolOutcome, CallStatus]] = {
    events.ToolOutcome.DONE: "done",
    events.ToolOutcome.FAILED: "failed",
    events.ToolOutcome.CANCELLED: "cancelled",
    events.ToolOutcome.TIMED_OUT: "timed_out",
    events.ToolOutcome.LOST: "lost",
}


class TurnLog:
    """Takes the events of a session, in order; `conversation` is what came of them."""

    def __init__(self) -> None:
        """Begins with nothing said."""
        self._forget()

    def _forget(self) -> None:
        self._turns: list[UserTurn | BotTurn] = []
        self._skipped = 0
        self._made: Conversation | None = None
        self._said: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._turn_of: OrderedDict[str, str] = OrderedDict()
        self._own: OrderedDict[str, None] = OrderedDict()
        # the last turn that the bot wrote or spoke in, or is to answer
        self._bot_turn_id = "t0"

    @property
    def conversation(self) -> Conversation:
        """The log as it is; the same object as before when nothing has changed."""
        if self._made is None:
            self._made = Conversation(tuple(self._turns), self._skipped)
        return self._made

    def take(self, event: events.Event) -> None:
        """Takes what was told. What says nothing of the log changes nothing."""
        match event:
            case events.SessionStarted():
                self._forget()
            case events.EventsSkipped(snapshot=snapshot) if snapshot is not None:
                self._restore(snapshot)
            case events.UserTranscript():
                self._hear_user(event)
            case events.BotResponseStarted(response_id=response_id, turn_id=turn_id):
                self._bot_turn_id = turn_id or self._bot_turn_id
                _keep(self._turn_of, response_id, turn_id, _MAX_RESPONSES)
            case events.UtteranceStarted(utterance_id=utterance_id, turn_id=turn_id):
                self._begin_utterance(utterance_id, turn_id)
            case events.UtteranceWords(utterance_id=utterance_id):
                self._in_utterance(utterance_id, lambda one: with_words(one, event))
            case events.BotWord(utterance_id=utterance_id, index=index):
                self._in_utterance(utterance_id, lambda one: with_heard(one, index))
            case events.UtteranceEnded(utterance_id=utterance_id, end=end):
                cut = end == events.UtteranceEnd.INTERRUPTED
                self._in_utterance(utterance_id, lambda one: ended(one, event), interrupted=cut)
            case events.Interrupted(utterance_id=utterance_id):
                self._in_utterance(utterance_id, lambda one: one, interrupted=True)
            case events.ToolCallStarted():
                self._begin_call(event)
            case events.ToolCallEnded(call_id=call_id):
                self._in_call(call_id, lambda call: _over(call, event))
            case _:
                pass

    def own_call(self, call_id: str) -> None:
        """This client was asked to run a call."""
        _keep(self._own, call_id, None, _MAX_OWN_CALLS)
        self._in_call(call_id, lambda call: replace(call, own=True))

    def own_progress(self, call_id: str, message: str) -> None:
        """A tool of this client says how far it is."""
        self._in_call(call_id, lambda call: replace(call, progress=message))

    def over(self) -> None:
        """The session is over: nothing stays open in a log that nothing is added to any more."""
        for at, turn in enumerate(self._turns):
            if isinstance(turn, UserTurn):
                self._put(at, turn if turn.final else replace(turn, final=True))
            else:
                self._put(at, _closed(turn))

    def _put(self, at: int, turn: UserTurn | BotTurn) -> None:
        if self._turns[at] != turn:
            self._turns[at] = turn
            self._made = None

    def _append(self, turn: UserTurn | BotTurn) -> None:
        self._turns.append(turn)
        del self._turns[:-MAX_TURNS]
        self._made = None

    def _find(self, turn_id: str) -> int:
        """Where the last turn of that name is, or -1."""
        return _last(self._turns, lambda turn: turn.id == turn_id)

    def _hear_user(self, event: events.UserTranscript) -> None:
        pieces = {**self._said.get(event.turn_id, {}), event.transcript_id: event.text}
        _keep(self._said, event.turn_id, pieces, _MAX_SAID)
        if event.final:
            self._bot_turn_id = event.turn_id
        text = ""
        for piece in pieces.values():
            text = join_texts(text, piece)
        turn = UserTurn(f"{event.turn_id}:user", text, event.final, event.typed)
        at = self._find(turn.id)
        if at < 0:
            self._append(turn)
        else:
            self._put(at, turn)

    def _bot_turn(self, turn_id: str, change: Callable[[BotTurn], BotTurn]) -> None:
        """Changes the bot's turn of that name; there is one afterwards."""
        name = f"{turn_id}:bot"
        at = self._find(name)
        turn = self._turns[at] if at >= 0 else None
        if isinstance(turn, BotTurn):
            self._put(at, change(turn))
        else:
            self._append(change(BotTurn(name)))

    def _begin_utterance(self, utterance_id: str, turn_id: str) -> None:
        if any(_utterance_at(turn, utterance_id) >= 0 for turn in self._turns):
            return
        self._bot_turn_id = turn_id
        fresh = LoggedUtterance(utterance_id)
        self._bot_turn(turn_id, lambda turn: replace(turn, utterances=(*turn.utterances, fresh)))

    def _in_utterance(
        self,
        utterance_id: str,
        change: Callable[[LoggedUtterance], LoggedUtterance],
        *,
        interrupted: bool = False,
    ) -> None:
        at = _last(self._turns, lambda turn: _utterance_at(turn, utterance_id) >= 0)
        turn = self._turns[at] if at >= 0 else None
        if not isinstance(turn, BotTurn):
            return
        number = _utterance_at(turn, utterance_id)
        before = turn.utterances[number]
        after = change(before)
        if after is before and (not interrupted or turn.interrupted):
            return
        said = (*turn.utterances[:number], after, *turn.utterances[number + 1 :])
        self._put(at, replace(turn, utterances=said, interrupted=turn.interrupted or interrupted))

    def _begin_call(self, event: events.ToolCallStarted) -> None:
        if any(_call_at(turn, event.call_id) >= 0 for turn in self._turns):
            return
        own = event.call_id in self._own
        call = LoggedToolCall(event.call_id, event.name, own=own, arguments=event.arguments)
        self._bot_turn(
            self._turn_of_call(event.response_id),
            lambda turn: replace(turn, tool_calls=(*turn.tool_calls, call)),
        )

    def _turn_of_call(self, response_id: str) -> str:
        """A call is often announced ahead of the response that asks for it: it answers the user."""
        last = self._turns[-1] if self._turns else None
        if isinstance(last, UserTurn):
            return last.id.removesuffix(":user")
        return self._turn_of.get(response_id) or self._bot_turn_id

    def _in_call(self, call_id: str, change: Callable[[LoggedToolCall], LoggedToolCall]) -> None:
        at = _last(self._turns, lambda turn: _call_at(turn, call_id) >= 0)
        turn = self._turns[at] if at >= 0 else None
        if not isinstance(turn, BotTurn):
            return
        number = _call_at(turn, call_id)
        calls = list(turn.tool_calls)
        calls[number] = change(calls[number])
        self._put(at, replace(turn, tool_calls=tuple(calls)))

    def _restore(self, snapshot: events.Snapshot) -> None:
        """What a snapshot says takes the place of everything; what goes on is told again."""
        self._turns.clear()
        self._skipped += 1
        self._made = None
        for told in snapshot.turns[-MAX_TURNS:]:
            user = told.role == events.TurnRole.USER
            at = self._find(f"{told.turn_id}:{'user' if user else 'bot'}")
            before = self._turns[at] if at >= 0 else None
            after = _restored_user(told, before) if user else _restored_bot(told, before)
            if at < 0:
                self._turns.append(after)
            else:
                self._turns[at] = after


def _restored_user(told: events.Turn, before: UserTurn | BotTurn | None) -> UserTurn:
    said = before.text if isinstance(before, UserTurn) else ""
    return UserTurn(f"{told.turn_id}:user", join_texts(said, told.text), final=True)


def _restored_bot(told: events.Turn, before: UserTurn | BotTurn | None) -> BotTurn:
    known = before if isinstance(before, BotTurn) else BotTurn(f"{told.turn_id}:bot")
    return replace(
        known,
        interrupted=known.interrupted or told.unheard_text != "",
        heard_text=join_texts(known.heard_text or "", told.text),
        unheard_text=join_texts(known.unheard_text or "", told.unheard_text),
    )


def _closed(turn: BotTurn) -> BotTurn:
    speaks = any(one.end == "speaking" for one in turn.utterances)
    runs = any(call.status == "running" for call in turn.tool_calls)
    if not speaks and not runs:
        return turn
    return replace(
        turn,
        utterances=tuple(cut_short(one) for one in turn.utterances),
        tool_calls=tuple(_given_up(call) for call in turn.tool_calls),
        interrupted=turn.interrupted or speaks,
    )


def _given_up(call: LoggedToolCall) -> LoggedToolCall:
    return replace(call, status="cancelled") if call.status == "running" else call


def _over(call: LoggedToolCall, event: events.ToolCallEnded) -> LoggedToolCall:
    status = _STATUS.get(event.outcome, "failed")
    return replace(call, status=status, duration_ms=event.duration_ms, result=event.result)


def _utterance_at(turn: UserTurn | BotTurn, utterance_id: str) -> int:
    said = turn.utterances if isinstance(turn, BotTurn) else ()
    return next((at for at, one in enumerate(said) if one.id == utterance_id), -1)


def _call_at(turn: UserTurn | BotTurn, call_id: str) -> int:
    calls = turn.tool_calls if isinstance(turn, BotTurn) else ()
    return next((at for at, call in enumerate(calls) if call.id == call_id), -1)


def _last(turns: Sequence[UserTurn | BotTurn], is_it: Callable[[UserTurn | BotTurn], bool]) -> int:
    return next((at for at in range(len(turns) - 1, -1, -1) if is_it(turns[at])), -1)


def _keep(kept: "OrderedDict[str, _ValueT]", key: str, value: _ValueT, most: int) -> None:
    """Adds to what is kept; the oldest goes when there is too much."""
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
