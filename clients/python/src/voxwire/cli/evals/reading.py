"""Scenario files: each holds one scenario or several, with defaults at its top."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from voxwire.cli.evals.fields import Notes, list_of, mapping
from voxwire.cli.evals.reading_turns import NO_EVENTS, read_turn
from voxwire.cli.evals.scenario import Scenario, Turn
from voxwire.cli.evals.yaml_lines import Lines, Mapped, ScenarioError, load_yaml
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["SCENARIO_KEYS", "find_files", "read_file"]

SCENARIO_KEYS: Final = (
    *("name", "turns", "context", "judge", "user", "stop_on_failure", "trigger_disconnect"),
    "scenarios",
)
_OF_SCENARIOS: Final = frozenset(("name", "turns", "persona", "scenarios"))
_SIMULATION: Final = "a simulation: its user is a language model, which this client does not run"
_SPEECH_KEYS: Final = ("service", "voice", "language", "speed", "sample_rate", "model", "factory")


def find_files(paths: list[Path]) -> list[Path]:
    """The scenario files that are named, and those in folders that are named.

    Raises:
        UsageError: There is none, or one cannot be found.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted((*path.rglob("*.yaml"), *path.rglob("*.yml")))
            found += [file for file in inside if _is_scenario(file)]
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(ErrorCode.INVALID_ARGUMENT, f"there is no file {path}")
    if not found:
        named = ", ".join(map(str, paths))
        raise UsageError(ErrorCode.INVALID_ARGUMENT, f"there is no scenario in {named}")
    return found


def _is_scenario(path: Path) -> bool:
    """Whether a file is one, and not what others include. What is wrong counts, to be told.

    So does a scenario whose name is missing or misspelt.
    """
    try:
        found = load_yaml(path)
    except (ScenarioError, OSError):
        return True
    return not isinstance(found, Mapped) or not _OF_SCENARIOS.isdisjoint(found)


def read_file(path: Path) -> list[Scenario]:
    """Reads a file; several scenarios in one file are independent of each other.

    Raises:
        ScenarioError: It is wrong; the reason names the line and what to do.
        UsageError: It cannot be read.
    """
    try:
        found = load_yaml(path)
    except OSError as error:
        raise UsageError(ErrorCode.INVALID_ARGUMENT, f"cannot read {path}: {error}") from error
    top = mapping(found, Lines(path, 1), "a scenario file")
    name = _name(top, "the file")
    if top.get("scenarios") is None:
        return [_scenario(top, name, path)]
    entries = list_of(top["scenarios"], top.lines.at("scenarios"), "'scenarios'")
    if not entries:
        raise ScenarioError(top.lines.at("scenarios"), "'scenarios' needs at least one scenario")
    scenarios = [_entry(top, name, item, entries.lines.at(i)) for i, item in enumerate(entries)]
    names = [scenario.name for scenario in scenarios]
    for number, one in enumerate(names):
        if one in names[:number]:
            raise ScenarioError(entries.lines.at(number), f"a second scenario {one!r}: rename it")
    return scenarios


def _name(found: Mapped, of: str) -> str:
    name = found.get("name")
    if isinstance(name, str) and name:
        return name
    raise ScenarioError(found.lines.at("name"), f"{of} needs a 'name', a text: name: greeting")


def _entry(top: Mapped, file_name: str, item: Any, lines: Lines) -> Scenario:
    """A scenario of the list, with the file's own keys as defaults."""
    entry = mapping(item, lines, "a scenario")
    if "scenarios" in entry:
        raise ScenarioError(entry.lines.at("scenarios"), "a scenario holds no 'scenarios' itself")
    name = f"{file_name}/{_name(entry, 'a scenario')}"
    merged = Mapped({**top, **entry})
    merged.pop("scenarios", None)
    merged.lines = Lines(entry.lines.path, entry.lines.line)
    merged.lines.of = {**top.lines.of, **entry.lines.of}
    return _scenario(merged, name, top.lines.path)


def _scenario(found: Mapped, name: str, path: Path) -> Scenario:
    if "persona" in found:
        if "turns" in found:
            reason = "a scenario has 'turns' (scripted) or 'persona' (a simulation), not both"
            raise ScenarioError(found.lines.at("persona"), reason)
        return Scenario(name, path, not_run=_SIMULATION)
    if "turns" not in found:
        reason = "a scenario needs 'turns': a list of what the user says and what is expected"
        raise ScenarioError(found.lines, reason)
    return _scripted(found, name, path)


def _scripted(found: Mapped, name: str, path: Path) -> Scenario:
    notes = Notes()
    notes.unknown(found, SCENARIO_KEYS, "a scenario")
    items = list_of(found["turns"], found.lines.at("turns"), "'turns'")
    if not items:
        raise ScenarioError(found.lines.at("turns"), "'turns' needs at least one turn")
    turns = [read_turn(item, items.lines.at(i), notes) for i, item in enumerate(items)]
    context = found.get("context")
    if context is not None:
        list_of(context, found.lines.at("context"), "'context'")
    user_audio, speech = _user_block(found, notes)
    _check_voice(turns, user_audio, speech, found)
    bot_audio, judge = _judge_block(found, notes)
    if "trigger_disconnect" in found:
        reason = "'trigger_disconnect' is deprecated: every session that ends tells its bot so"
        notes.tell(found.lines.at("trigger_disconnect"), reason)
    images = any("image" in item for item in items)
    return Scenario(
        name,
        path,
        turns=tuple(_resolved(turn, bot_audio, path) for turn in turns),
        user_audio=user_audio,
        speech=speech,
        bot_audio=bot_audio,
        judge=judge,
        stop_on_failure=bool(found.get("stop_on_failure", True)),
        not_run=_why_not(turns, context=bool(context), images=images),
        notes=notes.told,
    )


def _why_not(turns: list[Turn], *, context: bool, images: bool) -> str | None:
    """Why a scenario cannot be run by a client of ours, or None."""
    if context:
        return "'context': a client writes no bot's context; say it in turns, or in the bot"
    if images:
        return "'image': this client sends no images"
    for turn in turns:
        named = [expected.event for expected in turn.expect]
        if turn.send_after is not None and turn.send_after.event is not None:
            named.append(turn.send_after.event)
        for event in named:
            if event in NO_EVENTS:
                return f"'{event}': {NO_EVENTS[event]}"
    return None


def _modality(block: Mapped, name: str) -> str:
    modality = block.get("modality", "text")
    if modality in ("audio", "text"):
        return str(modality)
    reason = f"'{name}.modality' is audio or text, not {modality!r}"
    raise ScenarioError(block.lines.at("modality"), reason)


def _user_block(found: Mapped, notes: Notes) -> tuple[bool, dict[str, Any] | None]:
    if found.get("user") is None:
        return False, None
    block = mapping(found["user"], found.lines.at("user"), "'user'")
    notes.unknown(block, ("modality", "speech"), "'user'")
    if _modality(block, "user") == "text":
        return False, None
    if block.get("speech") is None:
        return True, None
    speech = mapping(block["speech"], block.lines.at("speech"), "'user.speech'")
    notes.unknown(speech, _SPEECH_KEYS, "'user.speech'")
    named = speech.get("factory") or speech.get("service")
    if named:
        reason = f"the user speaks with the voice of --voice, not with {named!r}"
        notes.tell(block.lines.at("speech"), reason)
    return True, dict(speech)


def _check_voice(
    turns: list[Turn], user_audio: bool, speech: dict[str, Any] | None, found: Mapped
) -> None:
    """Whether every turn can be delivered."""
    for turn in turns:
        spoken = "audio" if turn.audio else "pauses in 'user'" if turn.parts is not None else ""
        if spoken and not user_audio:
            reason = f"{spoken} needs a user who speaks: add 'user: {{modality: audio}}'"
            raise ScenarioError(Lines(found.lines.path, turn.line), reason)
        if user_audio and speech is None and turn.user is not None and turn.audio is None:
            reason = "a turn is spoken: add 'speech' to 'user', or 'audio' (a WAV) to the turn"
            raise ScenarioError(Lines(found.lines.path, turn.line), reason)


def _judge_block(found: Mapped, notes: Notes) -> tuple[bool, dict[str, Any]]:
    if found.get("judge") is None:
        return False, {}
    block = mapping(found["judge"], found.lines.at("judge"), "'judge'")
    notes.unknown(block, ("modality", "eval", "transcription"), "'judge'")
    audio = _modality(block, "judge") == "audio"
    judge: dict[str, Any] = {}
    if block.get("eval"):
        judge = dict(mapping(block["eval"], block.lines.at("eval"), "'judge.eval'"))
    if audio:
        lines = block.lines.at("transcription")
        mapping(block.get("transcription"), lines, "'judge.transcription' (Pipecat wants it)")
        note = "'response' is what the speaker played of the bot's words: nothing is transcribed"
        notes.tell(lines, note)
    return audio, judge


def _resolved(turn: Turn, bot_audio: bool, path: Path) -> Turn:
    """With ``response`` as the event that it is in this modality."""
    if bot_audio:
        return turn
    for expected in turn.expect:
        if expected.event == "tts_response":
            reason = "nothing is spoken: expect 'response', or set 'judge.modality: audio'"
            raise ScenarioError(Lines(path, expected.line), reason)
    expect = tuple(
        replace(expected, event="llm_response") if expected.event == "response" else expected
        for expected in turn.expect
    )
    return replace(turn, expect=expect)
