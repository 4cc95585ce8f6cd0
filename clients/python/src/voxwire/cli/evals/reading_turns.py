"""Turns and expectations of a scripted scenario, from its mapping."""

from typing import Any, Final

from voxwire.cli.evals.fields import Notes, list_of, mapping, member, text_of
from voxwire.cli.evals.scenario import CALL_EVENTS, Call, Expectation, SendAfter, Turn
from voxwire.cli.evals.yaml_lines import Lines, Mapped, ScenarioError

__all__ = ["EVENTS", "EXPECTATION_KEYS", "NO_EVENTS", "TURN_KEYS", "read_turn"]

EVENTS: Final = (
    *("user_started_speaking", "user_stopped_speaking", "user_transcription"),
    *("bot_started_speaking", "bot_stopped_speaking", "bot_interrupted"),
    *("llm_started", "llm_response", "tts_response", "response"),
    *("function_call", "function_call_stopped"),
)
"""Events that this client sees."""

NO_EVENTS: Final = {
    "vad_user_started_speaking": "the raw signal of the voice detector is not sent to clients",
    "vad_user_stopped_speaking": "the raw signal of the voice detector is not sent to clients",
    "llm_marker": "markers of turn completion are not sent to clients",
    "image": "this client receives no images",
    "bot_backchannel": "backchannels are not told apart",
    "user_backchannel": "backchannels are not told apart",
}
"""Events of the format that this client does not see, and why."""

TURN_KEYS: Final = ("user", "dtmf", "expect", "send_after", "audio", "image")
EXPECTATION_KEYS: Final = (
    *("event", "within_ms", "text_contains", "text_excludes", "calls", "name", "args", "eval"),
    *("marker", "marker_first", "markers", "text_after", "check_from", "absent"),
)
_MARKER_KEYS: Final = {"marker": str, "marker_first": bool, "markers": int, "text_after": bool}
_MARKERS: Final = ("complete", "short", "long", "incomplete")
_CONTENT_KEYS: Final = (
    *("text_contains", "text_excludes", "eval", "calls", "name", "args"),
    *_MARKER_KEYS,
)
_KEYS: Final = "0123456789*#"


def read_turn(value: Any, lines: Lines, notes: Notes) -> Turn:
    """Reads an entry of ``turns:``.

    Raises:
        ScenarioError: It is wrong.
    """
    found = mapping(value, lines, "a turn")
    place = found.lines
    notes.unknown(found, TURN_KEYS, "a turn")
    user, parts = _user(found)
    dtmf = _dtmf(found)
    if user is not None and dtmf is not None:
        raise ScenarioError(place, "a turn has 'user' or 'dtmf', not both: make two turns of it")
    expect: tuple[Expectation, ...] = ()
    if "expect" in found:
        items = list_of(found["expect"], place.at("expect"), "'expect'")
        expect = tuple(_expectation(e, items.lines.at(i), notes) for i, e in enumerate(items))
    send_after = _send_after(found, notes) if "send_after" in found else None
    if send_after is not None and user is None and dtmf is None:
        reason = "'send_after' says when 'user' or 'dtmf' is sent, and the turn has neither"
        raise ScenarioError(place.at("send_after"), reason)
    audio = _audio(found, user, dtmf, parts)
    member(found, "image", str)
    return Turn(
        user=user,
        expect=expect,
        parts=parts,
        audio=None if audio is None else (place.path.parent / audio).resolve(),
        dtmf=dtmf,
        send_after=send_after,
        line=place.line,
    )


def _user(found: Mapped) -> tuple[str | None, tuple[str | int, ...] | None]:
    """The text, and its parts when it pauses."""
    value = found.get("user")
    if value is None or isinstance(value, str):
        return value, None
    items = list_of(value, found.lines.at("user"), "'user' is a text, or it")
    parts = tuple(_part(item, items.lines.at(number)) for number, item in enumerate(items))
    texts = [part for part in parts if isinstance(part, str)]
    if not texts:
        raise ScenarioError(found.lines.at("user"), "'user' has pauses but no text: add one")
    return " ".join(texts), parts


def _part(item: Any, lines: Lines) -> str | int:
    if isinstance(item, str) and item.strip():
        return item.strip()
    if isinstance(item, Mapped) and set(item) == {"pause_ms"}:
        pause_ms = item["pause_ms"]
        if isinstance(pause_ms, int) and not isinstance(pause_ms, bool) and pause_ms > 0:
            return pause_ms
    raise ScenarioError(lines, "an item of 'user' is a text or 'pause_ms: 500' (above 0)")


def _dtmf(found: Mapped) -> str | None:
    value = found.get("dtmf")
    if value is None:
        return None
    keys = str(value) if isinstance(value, int) else value
    if isinstance(keys, str) and keys and all(key in _KEYS for key in keys):
        return keys
    reason = f"'dtmf' is keys of 0-9, * and #, in quotes ('12#'), not {value!r}"
    raise ScenarioError(found.lines.at("dtmf"), reason)


def _audio(found: Mapped, user: str | None, dtmf: str | None, parts: object) -> str | None:
    audio = member(found, "audio", str)
    if audio is None:
        return None
    lines = found.lines.at("audio")
    if dtmf is not None:
        raise ScenarioError(lines, "a turn has 'audio' or 'dtmf', not both")
    if user is None:
        raise ScenarioError(lines, "'audio' needs 'user', what the recording says: add it")
    if parts is not None:
        raise ScenarioError(lines, "a recording has its own pauses: make 'user' one text")
    return audio


def _send_after(found: Mapped, notes: Notes) -> SendAfter:
    lines = found.lines.at("send_after")
    given = mapping(found["send_after"], lines, "'send_after'")
    notes.unknown(given, ("event", "delay_ms"), "'send_after'")
    event = given.get("event")
    if event is not None:
        event = _known(text_of(event, given.lines.at("event"), "'event'"), given.lines.at("event"))
    delay_ms = given.get("delay_ms", 0)
    if not isinstance(delay_ms, int) or delay_ms < 0:
        reason = f"'delay_ms' is a whole number of milliseconds from 0 on, not {delay_ms!r}"
        raise ScenarioError(given.lines.at("delay_ms"), reason)
    if event is None and not delay_ms:
        raise ScenarioError(lines, "'send_after' needs an 'event' or a 'delay_ms' above 0")
    return SendAfter(event, int(delay_ms))


def _known(event: str, lines: Lines) -> str:
    if event in EVENTS or event in NO_EVENTS:
        return event
    names = ", ".join(sorted((*EVENTS, *NO_EVENTS)))
    raise ScenarioError(lines, f"there is no event {event!r}; events are {names}")


def _expectation(value: Any, lines: Lines, notes: Notes) -> Expectation:
    found = mapping(value, lines, "an expectation")
    place = found.lines
    notes.unknown(found, EXPECTATION_KEYS, "an expectation")
    if not found.get("event"):
        raise ScenarioError(place, "an expectation needs an 'event': event: llm_response")
    event = _known(text_of(found["event"], place.at("event"), "'event'"), place.at("event"))
    criterion = member(found, "eval", str)
    if criterion is not None and event == "function_call_stopped":
        reason = "a stopped call has no arguments to judge: put 'eval' on 'function_call'"
        raise ScenarioError(place.at("eval"), reason)
    absent = found.get("absent", False)
    if not isinstance(absent, bool):
        raise ScenarioError(place.at("absent"), "'absent' is true or false")
    _check_from(found, absent=absent)
    _check_markers(found, event)
    return Expectation(
        event=event,
        within_ms=member(found, "within_ms", int),
        text_contains=member(found, "text_contains", str),
        text_excludes=member(found, "text_excludes", str),
        calls=() if absent else _calls(found, event),
        eval=criterion,
        check_from=found.get("check_from", "previous"),
        absent=absent,
        line=place.line,
    )


def _check_from(found: Mapped, *, absent: bool) -> None:
    lines = found.lines.at("check_from")
    if found.get("check_from", "previous") not in ("previous", "turn_start"):
        raise ScenarioError(lines, "'check_from' is 'previous' or 'turn_start'")
    if not absent:
        return
    if "check_from" in found:
        reason = "'absent' is about what comes from here on: take 'check_from' away"
        raise ScenarioError(lines, reason)
    if conflicts := [key for key in _CONTENT_KEYS if key in found]:
        reason = f"'absent' is about the event alone: take {', '.join(conflicts)} away"
        raise ScenarioError(found.lines.at(conflicts[0]), reason)


def _check_markers(found: Mapped, event: str) -> None:
    """Markers are no event of this client's; what is said of them has to be right all the same."""
    for key, kind in _MARKER_KEYS.items():
        if key not in found:
            continue
        if event != "llm_marker":
            raise ScenarioError(found.lines.at(key), f"'{key}' is of the event 'llm_marker' alone")
        member(found, key, kind)
    if found.get("marker") not in (None, *_MARKERS):
        names = ", ".join(_MARKERS)
        raise ScenarioError(found.lines.at("marker"), f"'marker' is one of {names}")


def _calls(found: Mapped, event: str) -> tuple[Call, ...]:
    if event not in CALL_EVENTS:
        return ()
    listed = found.get("calls")
    if listed is None:
        return (_call(found),)
    items = list_of(listed, found.lines.at("calls"), "'calls'")
    if not items:
        raise ScenarioError(items.lines, "'calls' needs at least one call")
    calls: list[Call] = []
    for number, item in enumerate(items):
        if isinstance(item, str):
            calls.append(Call(item))
        else:
            calls.append(_call(mapping(item, items.lines.at(number), "a call")))
    return tuple(calls)


def _call(found: Mapped) -> Call:
    args = found.get("args")
    if args is not None:
        args = dict(mapping(args, found.lines.at("args"), "'args'"))
    return Call(member(found, "name", str), args)
