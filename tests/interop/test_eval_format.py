"""Our reading of Pipecat's scenario files, held against the wheel that is installed."""

import asyncio
import copy
import re
import types
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.evals import events as their_events
from pipecat.evals import matcher as their_matcher
from pipecat.evals import results as their_results
from pipecat.evals import script
from pipecat.evals.events import EvalBotEndedError, EvalEventStream
from pipecat.evals.matcher import ExpectationMatcher
from pipecat.evals.results import EvalTrace
from pipecat.evals.scenario import EvalScenarioFile

from voxwire.cli.evals.matching import Matcher
from voxwire.cli.evals.reading import read_file
from voxwire.cli.evals.reading_turns import EVENTS, EXPECTATION_KEYS, NO_EVENTS
from voxwire.cli.evals.results import KINDS
from voxwire.cli.evals.scenario import Call, Expectation
from voxwire.cli.evals.stream import BotEndedError, EventStream, Seen
from voxwire.cli.evals.yaml_lines import ScenarioError
from voxwire_protocol.virtual_time import VirtualTime

ROOT: Final = Path(__file__).resolve().parents[2]
SCENARIOS: Final = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
HERE: Final = ("as there", "otherwise", "not run")


def table() -> Iterator[tuple[str, str, str]]:
    """Rows of docs/eval.md: group, member, what is here."""
    for line in (ROOT / "docs" / "eval.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if (
            line.startswith("| ")
            and len(cells) == 3
            and (named := re.findall(r"`(\w+)`", cells[0]))
        ):
            for member in named:
                yield cells[0].split(" ")[0], member, cells[1]


def members(group: str) -> set[str]:
    return {member for of, member, _ in table() if of == group}


@pytest.mark.parametrize(
    ("group", "theirs"),
    [
        ("scenario", script.EvalScriptScenario),
        ("turn", script.EvalScriptTurn),
        ("expectation", script.EvalExpectation),
        ("call", script.EvalFunctionCall),
        ("send_after", script.EvalSendAfter),
    ],
)
def test_the_table_has_every_member_of_the_wheels_format_and_no_other(
    group: str, theirs: type
) -> None:
    assert members(group) == {field.name for field in fields(theirs)}


def test_the_table_has_every_event_and_every_failure_of_the_wheel() -> None:
    documented = f"{their_events.__doc__} {script.__doc__}"
    described = set(re.findall(r"^``(\w+)`` {2,}", documented, re.MULTILINE))
    listed = re.search(r"friendly names the harness maps.*?\.", script.__doc__ or "", re.DOTALL)
    assert listed is not None
    named = described | set(re.findall(r"``(\w+)``", listed[0]))
    source = Path(their_events.__file__).read_text("utf-8")
    made = set(re.findall(r'"type": "(\w+)"', source))
    assert len(made) > 10
    assert members("event") == named | made
    assert members("failure") == set(their_results.FAILURE_KINDS)


def test_what_the_table_says_of_events_is_what_the_reader_does() -> None:
    here = {member: what for group, member, what in table() if group == "event"}
    assert set(here.values()) <= set(HERE)
    assert {event for event, what in here.items() if what == "not run"} == set(NO_EVENTS)
    assert {event for event, what in here.items() if what != "not run"} == set(EVENTS)
    failures = {
        member for group, member, what in table() if group == "failure" and what == "as there"
    }
    assert failures == set(KINDS)
    expected = {field.name for field in fields(script.EvalExpectation)}
    assert set(EXPECTATION_KEYS) == expected | {"name", "args"}
    assert script.CHECK_FROM == ("previous", "turn_start")


# the readers


def outcome(path: Path) -> tuple[str, list[tuple[str, int]]]:
    """What the wheel makes of a file: names, and numbers of turns; without any it is refused."""
    try:
        found = EvalScenarioFile.load(path)
    except (ValueError, TypeError, AttributeError):
        return "refused", []
    if any(getattr(one, "turns", None) == [] for one in found.scenarios):
        return "refused", []
    return "read", [(one.name, len(getattr(one, "turns", []))) for one in found.scenarios]


def ours(path: Path) -> tuple[str, list[tuple[str, int]]]:
    """What we make of it; a refusal names its line."""
    try:
        found = read_file(path)
    except ScenarioError as error:
        reason = error.reason
    else:
        return "read", [(one.name, len(one.turns)) for one in found]
    assert re.match(rf"{re.escape(str(path))}:\d+: ", reason), reason
    return "refused", []


WHOLE: Final = """
name: whole
judge: {modality: audio, transcription: {service: moonshine}, eval: {service: ollama}}
user: {modality: audio, speech: {service: kokoro, voice: af_heart}}
scenarios:
  - name: one
    turns:
      - user: ["so I went", {pause_ms: 500}, "to Spain"]
        send_after: {event: llm_started, delay_ms: 5}
        expect:
          - {event: function_call, calls: [a, {name: b, args: {c: 1}}], check_from: turn_start}
          - {event: function_call, name: a, args: {b: 2}, eval: "is right"}
          - {event: response, absent: true, within_ms: 7}
      - user: "hello"
        audio: hello.wav
      - dtmf: 012
        expect: [{event: tts_response, text_contains: "a", text_excludes: "b"}]
"""
DOCUMENTS: Final = [
    yaml.safe_load(text) for text in (WHOLE, *(p.read_text("utf-8") for p in SCENARIOS))
]
JUNK: Final = st.sampled_from(
    [
        None,
        "",
        "x",
        0,
        5,
        -1,
        True,
        False,
        [],
        ["x"],
        {},
        {"x": 1},
        "turn_start",
        "audio",
        "*#",
        1.5,
    ]
)
LENIENT: Final = {
    *(
        "within_ms",
        "text_contains",
        "text_excludes",
        "args",
        "name",
        "eval",
        "event",
        "transcription",
    ),
}
"""Members whose types Pipecat does not look at, or events that it does not know."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for key, item in items:
            if isinstance(item, dict | list):
                yield from places(item, (*path, key))
            else:
                yield (*path, key)


@settings(max_examples=150)
@given(st.data())
def test_both_readers_read_and_refuse_the_same(tmp_path_factory: Any, data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    place = data.draw(st.sampled_from(sorted(set(places(document)), key=str)))
    around: Any = document
    for key in place[:-1]:
        around = around[key]
    if data.draw(st.booleans()) and isinstance(around, dict):
        del around[place[-1]]
    elif not LENIENT & {str(key) for key in place}:
        around[place[-1]] = data.draw(JUNK)
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    assert ours(path) == outcome(path), path.read_text("utf-8")


def test_included_files_and_numbers_are_read_as_the_wheel_does(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "turns.yaml").write_text(
        "- user: !include inner/text.yaml\n- dtmf: 012\n- dtmf: 12"
    )
    (tmp_path / "inner" / "text.yaml").write_text("!include text.yaml")
    (tmp_path / "text.yaml").write_text('"hi"')
    path = tmp_path / "file.yaml"
    path.write_text("name: a\nscenarios: [{name: b, turns: !include turns.yaml}]")
    [theirs] = EvalScenarioFile.load(path)
    [mine] = read_file(path)
    assert [(t.user, t.dtmf) for t in mine.turns] == [(t.user, t.dtmf) for t in theirs.turns]
    assert mine.turns[1].dtmf == "012"


# the matchers

TEXTS: Final = st.sampled_from(["", "a", "a b", "b", "c  d"])
NAMES: Final = st.sampled_from(["f", "g"])
SEEN: Final = st.one_of(
    st.builds(
        lambda kind, text: {"type": kind, "text": text},
        st.sampled_from(["response", "llm_response", "tts_response"]),
        TEXTS,
    ),
    st.builds(lambda text: {"type": "user_transcription", "transcript": text}, TEXTS),
    st.builds(
        lambda kind, name, value: {"type": kind, "name": name, "args": {"x": value}},
        st.sampled_from(["function_call", "function_call_stopped"]),
        NAMES,
        st.integers(0, 1),
    ),
    st.sampled_from([{"type": "llm_started"}, {"type": "bot_started_speaking"}]),
)
CALLS: Final = st.lists(
    st.tuples(st.one_of(st.none(), NAMES), st.sampled_from([None, {}, {"x": 0}, {"x": 1}])),
    min_size=1,
    max_size=2,
)
EXPECTED: Final = (
    *sorted(script.JUDGEABLE_EVENTS),
    *script.FUNCTION_CALL_EVENTS,
    *("llm_started", "user_transcription"),
)


@st.composite
def expectations(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(EXPECTED))
    budget = {"within_ms": draw(st.sampled_from([100, 900]))}
    if draw(st.integers(0, 3)) == 0:
        return {"event": kind, "absent": True, **budget}
    since = {"check_from": draw(st.sampled_from(script.CHECK_FROM))}
    if kind in script.FUNCTION_CALL_EVENTS:
        return {"event": kind, "calls": draw(CALLS), **budget, **since}
    texts = {
        "text_contains": draw(st.one_of(st.none(), TEXTS)),
        "text_excludes": draw(st.one_of(st.none(), TEXTS.filter(bool))),
    }
    return {"event": kind, **texts, **budget, **since}


class Clock(types.SimpleNamespace):
    """The module ``time``, as the wheel's matcher sees it: the loop's."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


Timeline = list[tuple[int, dict[str, Any]]]


async def feed(timeline: Timeline, put: Any, end: Any) -> None:
    """Events at their times, then the end of the session."""
    for wait_ms, event in timeline:
        await asyncio.sleep(wait_ms / 1000)
        await put(event)
    await asyncio.sleep(1.5)
    end()


async def by_theirs(timeline: Timeline, wanted: list[dict[str, Any]]) -> list[str]:
    stream = EvalEventStream(bot_audio=True, trace=EvalTrace())
    matcher = ExpectationMatcher(stream=stream, judge=None, trace=EvalTrace())
    feeding = asyncio.create_task(
        feed(timeline, lambda e: stream.append(dict(e)), stream.bot_ended)
    )
    matcher.reset_turn()
    anchor, told = Clock.monotonic(), []
    for one in wanted:
        given_calls = [script.EvalFunctionCall(*call) for call in one.get("calls", [])]
        expected = script.EvalExpectation(**{**one, "calls": given_calls or None})
        try:
            failure = await matcher.match(expected, anchor, one["within_ms"], 0, 0)
            told.append("" if failure is None else failure.kind)
        except TimeoutError:
            told.append("timeout")
            break
        except EvalBotEndedError:
            told.append("bot_ended")
            break
    await feeding
    return told


def seen_of(event: dict[str, Any]) -> Seen:
    text = event.get("text") or event.get("transcript") or ""
    return Seen(event["type"], text, event.get("name"), event.get("args") or {})


async def by_ours(timeline: Timeline, wanted: list[dict[str, Any]]) -> list[str]:
    stream = EventStream(lambda _: None)
    matcher = Matcher(stream, judge=None, trace=lambda _: None)

    async def put(event: dict[str, Any]) -> None:
        stream.append(seen_of(event))

    feeding = asyncio.create_task(feed(timeline, put, lambda: stream.end("over")))
    stream.begin_turn()
    began, told = Clock.monotonic(), []
    for one in wanted:
        calls = tuple(Call(*call) for call in one.get("calls", []))
        expected = Expectation(**{**one, "calls": calls})
        budget_ms = one["within_ms"]
        try:
            miss = await matcher.match(expected, began + budget_ms / 1000, budget_ms)
            told.append("" if miss is None else miss.kind)
        except TimeoutError:
            told.append("timeout")
            break
        except BotEndedError:
            told.append("bot_ended")
            break
    await feeding
    return told


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from([0, 30, 300]), SEEN), max_size=8),
    st.lists(expectations(), min_size=1, max_size=4),
)
def test_both_matchers_say_the_same_of_the_same_events(
    timeline: Timeline, wanted: list[dict[str, Any]]
) -> None:
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        for module in (their_matcher, their_events):
            patch.setattr(module, "time", Clock())
        with VirtualTime() as time:
            theirs = time.run(by_theirs(timeline, wanted))
            assert time.run(by_ours(timeline, wanted)) == theirs
