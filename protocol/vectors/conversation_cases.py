"""Messages of a server and what a client makes of them: the log of turns."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from voxwire_protocol import wire

Case = dict[str, Any]
Step = dict[str, Any]

_END = wire.UtteranceEnd
_OUTCOME = wire.ToolOutcome
_USER, _BOT = wire.TurnRole.TURN_ROLE_USER, wire.TurnRole.TURN_ROLE_BOT
KEPT_TURNS = 500


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, (about, steps) in _CASES.items():
        yield name, {"about": about, "steps": steps}


def _told(*, unchanged: bool = False, **payload: Any) -> Step:
    """A message of the server; ``unchanged``: the log stays the very same."""
    step: Step = {"op": "message", "message": MessageToDict(wire.Envelope(**payload))}
    return step | ({"unchanged": True} if unchanged else {})


def _said(
    text: str,
    *,
    turn: str = "t1",
    piece: str = "s1",
    final: bool = True,
    typed: bool = False,
) -> Step:
    message = wire.Transcript(
        transcript_id=piece, text=text, final=final, turn_id=turn, typed=typed
    )
    return _told(transcript=message)


def _response(response_id: str, turn: str) -> Step:
    message = wire.ResponseStarted(response_id=response_id, turn_id=turn)
    return _told(unchanged=True, response_started=message)


def _started(utterance_id: str, turn: str = "t1", *, unchanged: bool = False) -> Step:
    message = wire.UtteranceStarted(utterance_id=utterance_id, turn_id=turn)
    return _told(unchanged=unchanged, utterance_started=message)


def _words(
    utterance_id: str, text: str, *, first: int = 0, offset: int = 0, base_ms: int = 0
) -> Step:
    """Words of 100 ms; their text is split at its spaces."""
    words: list[wire.Word] = []
    at = offset
    for number, word in enumerate(text.split(" ")):
        if word:
            start = number * 100
            words.append(
                wire.Word(
                    char_start=at, char_end=at + len(word), start_ms=start, end_ms=start + 100
                )
            )
        at += len(word) + 1
    message = wire.UtteranceWords(
        utterance_id=utterance_id,
        first_index=first,
        base_media_ms=base_ms,
        text_offset=offset,
        text=text,
        words=words,
    )
    return _told(utterance_words=message)


def _heard(utterance_id: str, index: int, *, unchanged: bool = False) -> Step:
    step: Step = {"op": "word", "utterance_id": utterance_id, "index": index}
    return step | ({"unchanged": True} if unchanged else {})


def _ended(utterance_id: str, end: _END.ValueType, words: int) -> Step:
    message = wire.UtteranceEnded(utterance_id=utterance_id, end=end, heard_words=words)
    return _told(utterance_ended=message)


def _call(call_id: str, name: str, *, response: str = "", arguments: str = "") -> Step:
    message = wire.ToolCallStarted(
        call_id=call_id, name=name, response_id=response, arguments_json=arguments
    )
    return _told(tool_call_started=message)


def _call_ended(call_id: str, outcome: _OUTCOME.ValueType, ms: int, result: str = "") -> Step:
    message = wire.ToolCallEnded(
        call_id=call_id, outcome=outcome, duration_ms=ms, result_json=result
    )
    return _told(tool_call_ended=message)


def _snapshot(*turns: tuple[str, wire.TurnRole.ValueType, str, str]) -> Step:
    """Turn, role, text, and what was not heard of it."""
    message = wire.Snapshot(
        turns=[
            wire.Turn(turn_id=turn, role=role, text=text, unheard_text=unheard)
            for turn, role, text, unheard in turns
        ]
    )
    return {"op": "snapshot", "message": MessageToDict(message)}


def _log(*turns: Case, skipped: int = 0) -> Step:
    return {"op": "log", "turns": list(turns), "skipped": skipped}


def _user(turn: str, text: str, *, final: bool = True, typed: bool = False) -> Case:
    return {"id": f"{turn}:user", "role": "user", "text": text, "final": final, "typed": typed}


def _bot(turn: str, *utterances: Case, calls: tuple[Case, ...] = (), **more: Any) -> Case:
    """``more``: ``interrupted``, and of a snapshot ``heard_text`` and ``unheard_text``."""
    return {
        "id": f"{turn}:bot",
        "role": "bot",
        "utterances": list(utterances),
        "tool_calls": list(calls),
        "interrupted": False,
        **more,
    }


def _utterance(utterance_id: str, text: str, end: str, states: str, *, base_ms: int = 0) -> Case:
    """``states`` has a letter for each word: u unheard, h heard, c cut."""
    names = {"u": "unheard", "h": "heard", "c": "cut"}
    words = [
        {
            "index": index,
            "text": word,
            "start_ms": base_ms + index * 100,
            "end_ms": base_ms + index * 100 + 100,
            "state": names[state],
        }
        for index, (word, state) in enumerate(zip(text.split(), states, strict=True))
    ]
    return {"id": utterance_id, "text": text, "end": end, "words": words}


def _logged_call(call_id: str, name: str, status: str, *, own: bool = False, **more: Any) -> Case:
    """``more``: ``args``, ``result`` (JSON), ``duration_ms``, ``progress``; each if it is known."""
    return {"id": call_id, "name": name, "status": status, "own": own, **more}


_CASES: dict[str, tuple[str, list[Step]]] = {
    "turns": (
        "What the user said and what the bot said stand in turns of their own.",
        [
            _log(),
            _said("what is", final=False),
            _log(_user("t1", "what is", final=False)),
            _said("what is this"),
            _response("r1", "t1"),
            _started("u1"),
            _words("u1", "It is a test."),
            _ended("u1", _END.UTTERANCE_END_COMPLETED, 4),
            _said("I see", turn="t2", piece="s2"),
            _log(
                _user("t1", "what is this"),
                _bot("t1", _utterance("u1", "It is a test.", "completed", "hhhh")),
                _user("t2", "I see"),
            ),
        ],
    ),
    "pieces": (
        "Transcripts of a turn are joined in the order in which they began, as the script has it.",
        [
            _said("what is", final=False),
            _said("weather", piece="s2"),
            _said("what is the"),
            _said("您好。", turn="t2", piece="s3"),
            _said("今天天气怎么样", turn="t2", piece="s4"),
            _log(_user("t1", "what is the weather"), _user("t2", "您好。今天天气怎么样")),
        ],
    ),
    "typed": (
        "A note that is typed between pieces of speech is a turn of its own.",
        [
            _said("what is"),
            _said("by the way", turn="n1", piece="n1", typed=True),
            _said("the time", piece="s2"),
            _log(_user("t1", "what is the time"), _user("n1", "by the way", typed=True)),
        ],
    ),
    "words": (
        "A word is heard when this client's speaker reaches it, once.",
        [
            _started("u1"),
            _words("u1", "one two", base_ms=500),
            _heard("u1", 0),
            _heard("u1", 0, unchanged=True),
            _heard("u1", 7, unchanged=True),
            _heard("u9", 0, unchanged=True),
            _started("u1", unchanged=True),
            _log(_bot("t1", _utterance("u1", "one two", "speaking", "hu", base_ms=500))),
        ],
    ),
    "words-later": (
        "A later piece of text stands at its place; a word that was heard stays as it is.",
        [
            _started("u1"),
            _words("u1", "one two"),
            _heard("u1", 0),
            _words("u1", " three", first=2, offset=7, base_ms=100),
            _words("u1", "one two three", base_ms=0),
            _log(_bot("t1", _utterance("u1", "one two three", "speaking", "huu"))),
        ],
    ),
    "words-revised": (
        "A revision may leave the text out: the words are pieces of what came before.",
        [
            _started("u1"),
            _words("u1", "one two"),
            _told(
                utterance_words=wire.UtteranceWords(
                    utterance_id="u1",
                    revision=1,
                    words=[
                        wire.Word(char_start=0, char_end=3, start_ms=0, end_ms=100),
                        wire.Word(char_start=4, char_end=7, start_ms=100, end_ms=200),
                    ],
                )
            ),
            _log(_bot("t1", _utterance("u1", "one two", "speaking", "uu"))),
        ],
    ),
    "cut": (
        "How an utterance ended is the server's word, whatever this speaker reached.",
        [
            _started("u1"),
            _words("u1", "one two three four"),
            _heard("u1", 0),
            _heard("u1", 1),
            _ended("u1", _END.UTTERANCE_END_INTERRUPTED, 1),
            _started("u2"),
            _words("u2", "five"),
            _ended("u2", _END.UTTERANCE_END_INTERRUPTED, 0),
            _started("u3", "t2"),
            _words("u3", "six seven"),
            _ended("u3", _END.UTTERANCE_END_FAILED, 1),
            _log(
                _bot(
                    "t1",
                    _utterance("u1", "one two three four", "interrupted", "hccc"),
                    _utterance("u2", "five", "unheard", "c"),
                    interrupted=True,
                ),
                _bot("t2", _utterance("u3", "six seven", "interrupted", "hc")),
            ),
        ],
    ),
    "interrupted": (
        "An interruption marks the turn; one of nothing, and what says nothing here, changes none.",
        [
            _started("u1"),
            _told(interrupted=wire.Interrupted(utterance_id="u1")),
            _told(unchanged=True, interrupted=wire.Interrupted(utterance_id="u1")),
            _told(unchanged=True, interrupted=wire.Interrupted()),
            _told(unchanged=True, go_away=wire.GoAway()),
            _log(_bot("t1", _utterance("u1", "", "speaking", ""), interrupted=True)),
        ],
    ),
    "tools": (
        "A call stands in the turn whose response asked for it; this client's own are marked.",
        [
            _response("r1", "t7"),
            {"op": "own_call", "call_id": "c1"},
            _call("c1", "map", response="r1", arguments='{"city":"Rome"}'),
            {"op": "own_progress", "call_id": "c1", "message": "half way"},
            _call("c2", "weather"),
            _told(
                unchanged=True,
                tool_call_started=wire.ToolCallStarted(call_id="c2", name="weather"),
            ),
            _call_ended("c1", _OUTCOME.TOOL_OUTCOME_TIMED_OUT, 9),
            {"op": "own_call", "call_id": "c2"},
            _log(
                _bot(
                    "t7",
                    calls=(
                        _logged_call(
                            *("c1", "map", "timed_out"),
                            own=True,
                            args={"city": "Rome"},
                            duration_ms=9,
                            progress="half way",
                        ),
                        _logged_call("c2", "weather", "running", own=True),
                    ),
                )
            ),
            _call_ended("c2", _OUTCOME.TOOL_OUTCOME_DONE, 12, "[1]"),
            _call("c3", "a"),
            _call_ended("c3", _OUTCOME.TOOL_OUTCOME_FAILED, 1),
            _call("c4", "b"),
            _call_ended("c4", _OUTCOME.TOOL_OUTCOME_CANCELLED, 2),
            _call("c5", "c"),
            _call_ended("c5", _OUTCOME.TOOL_OUTCOME_LOST, 0),
            _log(
                _bot(
                    "t7",
                    calls=(
                        _logged_call(
                            *("c1", "map", "timed_out"),
                            own=True,
                            args={"city": "Rome"},
                            duration_ms=9,
                            progress="half way",
                        ),
                        _logged_call("c2", "weather", "done", own=True, duration_ms=12, result=[1]),
                        _logged_call("c3", "a", "failed", duration_ms=1),
                        _logged_call("c4", "b", "cancelled", duration_ms=2),
                        _logged_call("c5", "c", "lost", duration_ms=0),
                    ),
                )
            ),
        ],
    ),
    "tools-before-the-response": (
        "A call that is announced ahead of its response answers what the user said last.",
        [
            _response("r1", "t1"),
            _said("and now", turn="t2"),
            _call("c1", "map", response="r2"),
            _response("r2", "t2"),
            _started("u1", "t2"),
            _log(
                _user("t2", "and now"),
                _bot(
                    "t2",
                    _utterance("u1", "", "speaking", ""),
                    calls=(_logged_call("c1", "map", "running"),),
                ),
            ),
        ],
    ),
    "snapshot": (
        "A snapshot takes the place of every turn; those of one side and turn are joined.",
        [
            _said("lost"),
            _snapshot(
                ("t1", _USER, "您好。", ""),
                ("t1", _USER, "感谢您致电。", ""),
                ("t1", _BOT, "zero", ""),
                ("t1", _BOT, "one", "two"),
                ("t2", _USER, "go", ""),
                ("t2", _USER, "on", ""),
                ("t2", _BOT, "three", ""),
            ),
            _log(
                _user("t1", "您好。感谢您致电。"),
                _bot("t1", interrupted=True, heard_text="zero one", unheard_text="two"),
                _user("t2", "go on"),
                _bot("t2", heard_text="three", unheard_text=""),
                skipped=1,
            ),
            _started("u1", "t2"),
            _words("u1", "four"),
            _log(
                _user("t1", "您好。感谢您致电。"),
                _bot("t1", interrupted=True, heard_text="zero one", unheard_text="two"),
                _user("t2", "go on"),
                _bot(
                    "t2",
                    _utterance("u1", "four", "speaking", "u"),
                    heard_text="three",
                    unheard_text="",
                ),
                skipped=1,
            ),
            {"op": "begin"},
            _log(),
        ],
    ),
    "over": (
        "A session that ends in mid-sentence leaves nothing open.",
        [
            _started("u0"),
            _words("u0", "Good day."),
            _ended("u0", _END.UTTERANCE_END_COMPLETED, 2),
            _started("u1"),
            _words("u1", "one two three"),
            _heard("u1", 0),
            _started("u2"),
            _words("u2", "four"),
            _call("c1", "map"),
            _said("wait", turn="t2", final=False),
            {"op": "over"},
            _log(
                _bot(
                    "t1",
                    _utterance("u0", "Good day.", "completed", "hh"),
                    _utterance("u1", "one two three", "interrupted", "hcc"),
                    _utterance("u2", "four", "unheard", "c"),
                    calls=(_logged_call("c1", "map", "cancelled"),),
                    interrupted=True,
                ),
                _user("t2", "wait"),
            ),
            {"op": "over", "unchanged": True},
        ],
    ),
    "oldest": (
        "Of more than 500 turns the oldest are forgotten.",
        [
            *(
                _said("x", turn=f"t{number}", piece=f"s{number}")
                for number in range(KEPT_TURNS + 1)
            ),
            _log(*(_user(f"t{number}", "x") for number in range(1, KEPT_TURNS + 1))),
        ],
    ),
}
