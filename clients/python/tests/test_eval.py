"""`voxwire eval`: what a file may be, what is said when it is wrong, and what comes of a run."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from voxwire.cli import main
from voxwire.cli.evals.hearing import Ear, Hearing
from voxwire.cli.evals.junit import write_junit
from voxwire.cli.evals.reading import find_files, read_file
from voxwire.cli.evals.results import Failure, Result, TurnResult
from voxwire.cli.evals.running import How, run_scenario
from voxwire.cli.evals.scenario import Expectation, Turn
from voxwire.cli.evals.stream import EventStream, Seen
from voxwire.cli.evals.voice import Voice
from voxwire.cli.evals.yaml_lines import ScenarioError
from voxwire.playout import Block, Span, SpanKind
from voxwire.testing import FakeServer, FakeSession, in_virtual_time
from voxwire_protocol import events
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError

HEAD = "name: f\nscenarios:\n- name: s\n  turns:\n"
AUDIO = "name: f\nuser: {modality: audio}\nscenarios:\n- name: s\n  turns:\n"
SPEAKS = "judge: {modality: audio, transcription: {service: none}}\n"


def written(folder: Path, text: str, name: str = "f.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "a scenario file must be a mapping (key: value), not empty"),
        ("a: [", 1, "this is no YAML: while parsing a flow node"),
        ("a: !!python/object:os.x {}", 1, "this is no YAML: could not determine a constructor"),
        ("a: \x00", 1, "this is no YAML: unacceptable character"),
        ("a: 2001-99-99", 1, "this is no YAML: month must be in 1..12"),
        ("? [a]\n: b", 1, "a key must be a plain text"),
        ("turns: [{user: a}]", 1, "the file needs a 'name', a text: name: greeting"),
        ("name: 5\nturns: [{user: a}]", 1, "the file needs a 'name'"),
        ("name: a\nscenarios: {}", 2, "'scenarios' must be a list (- ...), not a mapping"),
        ("name: a\nscenarios: []", 2, "'scenarios' needs at least one scenario"),
        ("name: a\nscenarios:\n- turns: [{user: a}]", 3, "a scenario needs a 'name'"),
        (
            "name: a\nscenarios:\n- {name: b, turns: [{user: a}]}\n- 5",
            4,
            "a scenario must be a mapping",
        ),
        (
            "name: a\nscenarios:\n- {name: b, turns: [{user: a}]}\n- {name: b, turns: [{user: a}]}",
            4,
            "a second",
        ),
        ("name: a\nscenarios:\n- name: b\n  scenarios: []", 4, "holds no 'scenarios' itself"),
        ("name: a\nscenarios:\n- name: b", 3, "a scenario needs 'turns': a list of what"),
        ("name: a\nturns: [{user: a}]\npersona: x", 3, "not both"),
        ("name: a\nturns: [{user: a}]\ncontext: x", 3, "'context' must be a list"),
        (
            "name: a\nturns: [{user: a}]\nuser: {modality: loud}",
            3,
            "'user.modality' is audio or text",
        ),
        (
            "name: a\nturns: [{user: a}]\njudge: {modality: audio}",
            3,
            "'judge.transcription' (Pipecat wants",
        ),
        ("name: a\nturns: !include none.yaml", 2, "cannot read the included file"),
        (HEAD + "  - user: 5", 5, "'user' is a text, or it must be a list (- ...), not 5"),
        (HEAD + "  - user: [{pause_ms: 5}]", 5, "'user' has pauses but no text: add one"),
        (
            HEAD + "  - user: [a, {pause_ms: 0}]",
            5,
            "an item of 'user' is a text or 'pause_ms: 500'",
        ),
        (HEAD + "  - user: [a, {pause_ms: 5}]", 5, "needs a user who speaks"),
        (HEAD + "  - user: a\n    audio: a.wav", 5, "audio needs a user who speaks"),
        (AUDIO + "  - user: a", 6, "a turn is spoken: add 'speech' to 'user', or 'audio' (a WAV)"),
        (AUDIO + "  - audio: a.wav", 6, "'audio' needs 'user', what the recording says"),
        (HEAD + "  - {user: a, dtmf: '1'}", 5, "a turn has 'user' or 'dtmf', not both"),
        (HEAD + "  - user: a\n    dtmf: 12a", 6, "'dtmf' is keys of 0-9, * and #, in quotes"),
        (HEAD + "  - expect: {}", 5, "'expect' must be a list"),
        (HEAD + "  - send_after: {delay_ms: 5}", 5, "the turn has neither"),
        (HEAD + "  - user: a\n    send_after: {}", 6, "'send_after' needs an 'event' or"),
        (HEAD + "  - user: a\n    send_after: {delay_ms: -1}", 6, "from 0 on, not -1"),
        (
            HEAD + "  - user: a\n    send_after: {event: bark}",
            6,
            "there is no event 'bark'; events",
        ),
        (HEAD + "  - expect:\n    - {}", 6, "an expectation needs an 'event'"),
        (HEAD + "  - expect:\n    - event: bark", 6, "there is no event 'bark'; events are bot_"),
        (
            HEAD + "  - expect:\n    - event: llm_started\n      within_ms: soon",
            7,
            "a whole number",
        ),
        (HEAD + "  - expect:\n    - event: llm_started\n      absent: 1", 7, "'absent' is true or"),
        (HEAD + "  - expect:\n    - event: llm_started\n      marker: short", 7, "of the event"),
        (HEAD + "  - expect:\n    - event: llm_marker\n      marker: odd", 7, "'marker' is one of"),
        (
            HEAD + "  - expect:\n    - {event: tts_response}",
            6,
            "nothing is spoken: expect 'response'",
        ),
        (HEAD + "  - expect:\n    - {event: response, check_from: x}", 6, "'check_from' is"),
        (
            HEAD + "  - expect:\n    - {event: response, absent: true, check_from: previous}",
            6,
            "away",
        ),
        (HEAD + "  - expect:\n    - {event: response, absent: true, eval: x}", 6, "take eval away"),
        (HEAD + "  - expect:\n    - {event: function_call, calls: []}", 6, "at least one call"),
        (HEAD + "  - expect:\n    - {event: function_call_stopped, eval: x}", 6, "put 'eval' on"),
        (
            HEAD + "  - expect:\n    - {event: function_call, calls: [{args: 5}]}",
            6,
            "'args' must be",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as wrong:
        read_file(path)
    assert wrong.value.reason.startswith(f"{path}:{line}: "), wrong.value.reason
    assert reason in wrong.value.reason


def test_a_mistake_in_an_included_file_is_told_where_it_is(tmp_path: Path) -> None:
    written(tmp_path, "- user: a\n- user: a\n  dtmf: '1'", "turns.yaml")
    path = written(tmp_path, "name: f\nscenarios:\n- name: s\n  turns: !include turns.yaml")
    with pytest.raises(ScenarioError, match=r"turns\.yaml:2: "):
        read_file(path)
    written(tmp_path, "!include turns.yaml", "turns.yaml")
    with pytest.raises(ScenarioError, match="more than 16 files include each other"):
        read_file(path)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            HEAD + "  - expect:\n    - {event: llm_started, text_contain: x}",
            ":6: 'text_contain' is no key of an expectation: not read (do you mean"
            " 'text_contains'?)",
        ),
        (
            "name: f\nturns: [{user: a}]\ndescription: x",
            ":3: 'description' is no key of a scenario",
        ),
        (
            "name: f\nturns: [{user: a}]\nuser: {modality: audio, speech: {service: kokoro}}",
            ":3: the user speaks with the voice of --voice, not with 'kokoro'",
        ),
        (f"name: f\nturns: [{{user: a}}]\n{SPEAKS}", ":3: 'response' is what the speaker played"),
        (
            "name: f\nturns: [{user: a}]\ntrigger_disconnect: true",
            ":3: 'trigger_disconnect' is deprecated",
        ),
    ],
)
def test_what_is_read_otherwise_is_noted(tmp_path: Path, text: str, note: str) -> None:
    [scenario] = read_file(written(tmp_path, text))
    assert any(note in told for told in scenario.notes), scenario.notes
    assert scenario.not_run is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: f\npersona: Jamie\ngoal: x", "a simulation"),
        ("name: f\nturns: [{user: a}]\ncontext: [{role: user, content: a}]", "'context'"),
        (HEAD + "  - {user: a, image: cat.png}", "'image'"),
        (HEAD + "  - expect: [{event: llm_marker, marker: short}]", "'llm_marker'"),
        (HEAD + "  - {user: a, send_after: {event: vad_user_stopped_speaking}}", "'vad_user_stop"),
    ],
)
def test_what_a_client_cannot_do_is_not_run_and_says_so(
    tmp_path: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    assert main(["eval", str(path)]) == 3
    said = capsys.readouterr().out
    assert f"NOT RUN: {reason}" in said
    assert "0 passed, 0 failed, 1 not run" in said


def test_a_folder_gives_its_scenarios_and_not_what_they_include(tmp_path: Path) -> None:
    written(tmp_path, "modality: text", "part.yaml")
    whole = written(tmp_path, "name: f\nturns: [{user: a}]", "whole.yml")
    wrong = written(tmp_path, "a: [", "wrong.yaml")
    assert find_files([tmp_path]) == [whole, wrong]
    with pytest.raises(UsageError, match="there is no file"):
        find_files([tmp_path / "none.yaml"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is no scenario in"):
        find_files([tmp_path / "empty"])


def test_a_wrong_file_and_a_wrong_option_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, HEAD + "  - 5")
    assert main(["eval", str(path)]) == 2
    assert re.fullmatch(rf"voxwire: .*{re.escape(str(path))}:5: .*\n", capsys.readouterr().err)
    good = written(tmp_path, "name: f\nturns: [{user: a}]")
    for judge in ("nothing", "no.such.module:f", "json:nothing", "json:__name__"):
        assert main(["eval", str(good), "--judge", judge]) == 2
        assert capsys.readouterr().err.startswith("voxwire: INVALID_ARGUMENT: --judge")


def test_without_pyyaml_it_says_what_to_install(tmp_path: Path) -> None:
    path = written(tmp_path, "name: f\nturns: [{user: a}]")
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        f"from voxwire.cli import main; sys.exit(main(['eval', {str(path)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'voxwire[eval]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_is_not_there_fails_the_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, HEAD + "  - user: hello")
    report = tmp_path / "report.xml"
    asked = ["eval", str(path), "--url", "ws://127.0.0.1:1", "--transport", "websocket"]
    assert main([*asked, "--junit", str(report), "--connect-timeout", "1"]) == 1
    assert "FAIL" in capsys.readouterr().out
    [failure] = ElementTree.parse(report).getroot().iter("failure")
    assert failure.attrib["type"] == "connect_failed"
    assert main([*asked, "--junit", str(tmp_path / "no" / "x.xml"), "--connect-timeout", "1"]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_the_report_holds_each_turn_and_whatever_was_said(tmp_path: Path) -> None:
    failed = Result("f/one", "f.yaml", failures=[Failure("response", "timeout", "\x00 <&>", 1, 7)])
    failed.turns = [TurnResult("a", "passed", 12), TurnResult("b", "failed", 34)]
    failed.trace = ["what \ud800 happened"]
    missing = Result("f/two", "f.yaml", not_run="needs a judge")
    path = tmp_path / "report.xml"
    write_junit(path, [failed, missing, Result("g/one", "g.yaml")], transport="webrtc")
    root = ElementTree.parse(path).getroot()
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == tuple("311")
    first, second = root.findall("testsuite")
    assert (first.attrib["name"], second.attrib["tests"]) == ("f.yaml (webrtc)", "1")
    one, two = first.findall("testcase")
    times = {p.attrib["name"]: p.attrib["value"] for p in one.iter("property")}
    assert (times["turn1_ms"], times["turn2_status"]) == ("12", "failed")
    [failure] = one.findall("failure")
    assert failure.attrib["message"] == "turn 2: response: \N{REPLACEMENT CHARACTER} <&> (line 7)"
    assert (failure.text or "").startswith("f.yaml:7: ")
    assert [skipped.attrib["message"] for skipped in two.iter("skipped")] == ["needs a judge"]


# against a bot in memory


class Quiet:
    """Sees how it goes, and says nothing."""

    def turn(self, number: int, turn: Turn) -> None: ...

    def met(self, expected: Expectation, after_ms: int, matched: str) -> None: ...

    def missed(self, failure: Failure) -> None: ...


async def held(path: Path, bot: Callable[[FakeSession], Any], *, timeout_ms: int = 5000) -> Result:
    """Hold the one scenario of a file against a bot."""
    [scenario] = read_file(path)
    async with FakeServer(bot) as server:
        options = {"environment": server.environment, "transport": "websocket"}
        voice = Voice(None, path.parent)
        how = How(server.url, options, voice=voice, ask=None, timeout_ms=timeout_ms)
        return await run_scenario(scenario, how, Quiet())


@in_virtual_time
async def test_the_answer_is_what_was_heard_of_it(tmp_path: Path) -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("Who is there?")
        await session.say(f"Hello {await session.text()}.")
        await session.listen()

    path = written(
        tmp_path,
        f"name: f\n{SPEAKS}turns:\n"
        "- expect: [{event: bot_started_speaking}, {event: response, text_contains: Who is}]\n"
        "- user: Ada\n  expect: [{event: tts_response}, {event: response, text_contains: Ada}]",
    )
    result = await held(path, bot)
    assert result.passed, result
    assert [turn.status for turn in result.turns] == ["passed", "passed"]
    assert all(turn.duration_ms > 0 for turn in result.turns)


@in_virtual_time
async def test_a_bot_that_leaves_ends_the_run_at_once(tmp_path: Path) -> None:
    async def bot(session: FakeSession) -> None:
        await session.text()

    path = written(
        tmp_path, f"name: f\n{SPEAKS}turns:\n- user: hi\n  expect: [{{event: response}}]\n- user: b"
    )
    result = await held(path, bot, timeout_ms=60_000)
    assert [failure.kind for failure in result.failures] == ["bot_ended"]
    assert [turn.status for turn in result.turns] == ["failed", "not_run"]
    absent = written(
        tmp_path,
        f"name: f\n{SPEAKS}turns:\n- user: a\n  expect: [{{event: response, absent: true}}]",
    )
    assert (await held(absent, bot)).passed


@in_virtual_time
async def test_every_turn_is_played_when_the_scenario_wants_that(tmp_path: Path) -> None:
    async def bot(session: FakeSession) -> None:
        while True:
            await session.text()

    text = (
        f"name: f\n{SPEAKS}stop_on_failure: false\nturns:\n"
        "- user: a\n  expect: [{event: response, within_ms: 100}]\n"
        "- user: b\n  send_after: {event: response}\n"
        "- user: c\n  send_after: {delay_ms: 500}"
    )
    result = await held(written(tmp_path, text), bot)
    assert [failure.kind for failure in result.failures] == ["timeout", "send_after_timeout"]
    assert [turn.status for turn in result.turns] == ["failed", "failed", "passed"]
    assert [turn.duration_ms for turn in result.turns] == [100, 30_000, 500]


# what was heard


def block(position: int, level: int) -> Block:
    samples = np.full(480, level, np.int16)
    return Block(samples, (Span(0, 480, position, SpanKind.PLAYED),), position + 480)


async def test_words_without_sound_are_no_answer() -> None:
    ear, stream = Ear(), EventStream(lambda _: None)
    hearing = Hearing(stream, ear)
    ear.open(24_000)
    ear.write(block(0, 0), 0.0)
    ear.write(block(480, 9000), 0.02)
    assert (ear.is_sound(0, 20), ear.is_sound(20, 40), ear.is_sound(0, 40)) == (False, True, True)
    for name, start_ms, end_ms in (("u1", 0, 20), ("u2", 20, 40)):
        hearing.take(
            events.UtteranceStarted(name, "", "", start_ms, events.TimingSource.PROVIDER_WORD, "")
        )
        words = events.UtteranceWords(name, 0, name, (), 0, events.TimingSource.PROVIDER_WORD)
        hearing.take(words)
        hearing.take(
            events.UtteranceEnded(
                name, events.UtteranceEnd.COMPLETED, end_ms, 2, 1, events.HeardSource.UNKNOWN
            )
        )
    until = asyncio.get_running_loop().time() + 60
    assert await stream.next("response", until) == Seen("response", "u2")


async def test_what_a_turn_talks_over_is_not_its_answer() -> None:
    ear, stream = Ear(), EventStream(lambda _: None)
    hearing = Hearing(stream, ear)
    ear.open(24_000)
    ear.write(block(0, 9000), 0.0)
    for name in ("old", "new"):
        hearing.take(
            events.UtteranceStarted(name, "", "", 0, events.TimingSource.PROVIDER_WORD, "")
        )
        if name == "old":
            hearing.turn_sent()
            hearing.take(events.BotResponseStarted("r", ""))
        hearing.take(events.UtteranceWords(name, 0, name, (), 0, events.TimingSource.PROVIDER_WORD))
    for name in ("old", "new"):
        hearing.take(
            events.UtteranceEnded(
                name, events.UtteranceEnd.COMPLETED, 20, 3, 1, events.HeardSource.UNKNOWN
            )
        )
    until = asyncio.get_running_loop().time() + 60
    assert (await stream.next("response", until)).text == "new"


async def test_a_call_whose_arguments_are_hidden_or_no_object_has_none() -> None:
    stream = EventStream(lambda _: None)
    hearing = Hearing(stream, Ear())
    until = asyncio.get_running_loop().time() + 60
    for arguments, args in ((None, {}), ([1], {}), ({"a": 1}, {"a": 1})):
        hearing.take(events.ToolCallStarted("c", "f", arguments, "r"))
        assert (await stream.next("function_call", until)).args == args


# the user's voice


async def test_a_voice_is_any_program_and_is_asked_once_for_each_line(tmp_path: Path) -> None:
    program = tmp_path / "voice.py"
    program.write_text(
        "import sys, wave, os, pathlib\n"
        "text = sys.stdin.read()\n"
        "with open(pathlib.Path(__file__).with_suffix('.log'), 'a') as log:\n"
        "    print(text, os.environ['VOXWIRE_SPEECH'], file=log)\n"
        "with wave.open(sys.stdout.buffer, 'wb') as file:\n"
        "    file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000)\n"
        "    file.writeframesraw(b'\\1\\1' * 800)\n"
    )
    voice = Voice(f"{sys.executable} {program}", tmp_path)
    paused = Turn(user="a b", parts=("a", 500, "b"))
    first = await voice.wav_of(paused, {"language": "en"})
    assert await voice.wav_of(paused, {"language": "en"}) == first
    assert first.stat().st_size == 44 + 2 * 16 * (100 + 500 + 100)
    log = program.with_suffix(".log").read_text().splitlines()
    assert log == ['a {"language": "en"}', 'b {"language": "en"}']


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("", ErrorCode.MISSING_EXTRA, "pip install 'voxwire-server"),
        ("/nowhere/voice", ErrorCode.DEVICE, "cannot start the voice"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no\")'", ErrorCode.DEVICE, "failed (1): no"),
        (f"{sys.executable} -c ''", ErrorCode.DEVICE, "the voice failed (0)"),
        (f"{sys.executable} -c 'print(5)'", ErrorCode.UNSUPPORTED_FORMAT, "piece.wav"),
    ],
)
async def test_a_voice_that_does_not_speak_is_told(
    tmp_path: Path, command: str, code: ErrorCode, reason: str
) -> None:
    with pytest.raises(VoxwireError) as told:
        await Voice(command, tmp_path).wav_of(Turn(user="a"), None)
    assert told.value.code == code
    assert reason in told.value.reason
