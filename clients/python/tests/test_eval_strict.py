"""Scenarios of `voxwire eval` that could not fail, and bots that could not be caught."""

import asyncio
import tempfile
import threading
from pathlib import Path

import pytest
from test_eval import HEAD, SPEAKS, Quiet, held, written

from voxwire.cli.evals.driving import Driver
from voxwire.cli.evals.hearing import Ear, Hearing
from voxwire.cli.evals.judging import Ask, Judge
from voxwire.cli.evals.matching import Matcher
from voxwire.cli.evals.reading import find_files, read_file
from voxwire.cli.evals.results import Result, TurnResult
from voxwire.cli.evals.scenario import Expectation, Turn
from voxwire.cli.evals.stream import EventStream, Seen
from voxwire.cli.evals.yaml_lines import ScenarioError
from voxwire.testing import FakeSession, in_virtual_time
from voxwire_protocol.errors import ErrorCode


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (f"{HEAD}  - user: a\n    expect: []\n    expect: []", 7, "a second 'expect'"),
        ("name: a\nname: b\nturns: [{user: a}]", 2, "a second 'name'"),
        ("name: a\nturns: []", 2, "'turns' needs at least one turn"),
        ("name: a\nscenarios:\n- {name: b}\nturns: []", 4, "'turns' needs at least one turn"),
    ],
)
def test_a_scenario_that_could_not_fail_is_wrong(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_file(path)
    assert f"{path}:{line}: {reason}" in caught.value.reason


def test_what_is_merged_in_may_be_given_anew(tmp_path: Path) -> None:
    text = f"{HEAD}  - &first {{user: a, send_after: {{delay_ms: 5}}}}\n  - {{<<: *first, user: b}}"
    [scenario] = read_file(written(tmp_path, text))
    assert [turn.user for turn in scenario.turns] == ["a", "b"]


@pytest.mark.parametrize("key", ["turns", "persona", "scenarios"])
def test_a_folder_does_not_pass_over_a_scenario_whose_name_is_misspelt(
    tmp_path: Path, key: str
) -> None:
    path = written(tmp_path, f"nmae: f\n{key}: []")
    assert find_files([tmp_path]) == [path]


@in_virtual_time
async def test_what_came_in_time_counts_however_late_it_is_looked_at() -> None:
    stream = EventStream(lambda _: None)
    matcher, now = (
        Matcher(stream, judge=None, trace=lambda _: None),
        asyncio.get_running_loop().time,
    )
    stream.begin_turn()
    until = now() + 1
    stream.append(Seen("bot_interrupted"))
    await asyncio.sleep(2)
    stream.append(Seen("llm_started"))
    interrupted = Expectation(event="bot_interrupted", absent=True)
    miss = await matcher.match(interrupted, until, 1000)
    assert miss is not None
    assert miss.kind == "unexpected_event"
    started = Expectation(event="llm_started", absent=True)
    assert await matcher.match(started, until, 1000) is None


@in_virtual_time
async def test_a_bot_that_crashes_has_not_kept_silent(tmp_path: Path) -> None:
    text = f"name: f\n{SPEAKS}turns:\n- user: a\n  expect: [{{event: response, absent: true}}]"
    path = written(tmp_path, text)

    async def crashing(session: FakeSession) -> None:
        await session.text()
        session.fail(ErrorCode.BOT_FAILED)

    result = await held(path, crashing)
    assert [failure.kind for failure in result.failures] == ["bot_ended"]
    assert "the session was lost" in result.failures[0].reason


async def judged(ask: Ask) -> Result:
    """The run of one expectation that this judge decides."""
    text = "name: f\nturns:\n- expect: [{event: llm_response, eval: is kind}]"
    with tempfile.TemporaryDirectory() as folder:
        [scenario] = read_file(written(Path(folder), text))
    result = Result(scenario.name, str(scenario.path))
    result.turns = [TurnResult(turn.sends) for turn in scenario.turns]
    stream = EventStream(result.trace.append)
    stream.append(Seen("llm_response", "You are welcome."))

    async def send(number: int, turn: Turn) -> None: ...

    driver = Driver(
        scenario,
        result,
        hearing=Hearing(stream, Ear()),
        send=send,
        judge=Judge(ask, {}),
        timeout_ms=5000,
        progress=Quiet(),
    )
    await driver.run()
    return result


@in_virtual_time
async def test_a_judge_that_blocks_does_not_hold_the_session_up() -> None:
    threads: list[threading.Thread] = []

    def blocking(*_: object) -> str:
        threads.append(threading.current_thread())
        return "yes"

    assert (await judged(blocking)).passed
    assert threads[0] is not threading.main_thread()

    async def own_loop(*_: object) -> str:
        await asyncio.sleep(1)
        return "yes"

    assert (await judged(own_loop)).passed


@in_virtual_time
async def test_a_judge_that_never_answers_or_raises_is_a_failure_that_says_so() -> None:
    async def never(*_: object) -> str:
        await asyncio.sleep(3600)
        return "yes"

    async def late(*_: object) -> str:
        raise TimeoutError("its model")

    def raising(*_: object) -> str:
        raise KeyError("key")

    for ask, reason in (
        (never, "the judge has not answered for 60 s"),
        (late, "the judge failed: TimeoutError('its model')"),
        (raising, "the judge failed: KeyError('key')"),
    ):
        [failure] = (await judged(ask)).failures
        assert (failure.kind, failure.reason, failure.line) == ("error", reason, 3)
