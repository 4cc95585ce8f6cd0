"""A session as something to look at: its words, tools and cuts, each at its moment. Pure."""

from dataclasses import dataclass

from voxwire.conversation import BotTurn, Conversation
from voxwire.testing.voice.log import VoiceLog, call_text
from voxwire.testing.voice.taps import Level
from voxwire_protocol import events

__all__ = ["Mark", "Scene", "Stretch", "scene_of"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something said, from moment to moment; milliseconds since the connect."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment, milliseconds since the connect."""

    text: str
    at_ms: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture of a session shows; moments are milliseconds since the connect.

    Attributes:
        user_levels: How loud the user was: moment, and 0 to 1.
        bot_levels: How loud what was heard of the bot was.
        user: What the user said.
        words: The bot's, as they were heard.
        unheard: What it said and nobody heard, at the moment at which it stopped.
        tools: Calls.
        cuts: Interruptions, and who interrupted.
        failure: What was expected and did not come; None = nothing.
        end_ms: Behind everything.
    """

    user_levels: list[Level]
    bot_levels: list[Level]
    user: list[Stretch]
    words: list[Stretch]
    unheard: list[Mark]
    tools: list[Mark]
    cuts: list[Mark]
    failure: Mark | None
    end_ms: float


def scene_of(
    log: VoiceLog,
    conversation: Conversation,
    *,
    user_levels: list[Level],
    bot_levels: list[Level],
    failure: Mark | None,
) -> Scene:
    """Puts everything on one clock.

    Args:
        log: What happened when, on the session's clock.
        conversation: The turn log.
        user_levels: How loud the user was, on the session's clock.
        bot_levels: How loud what was heard of the bot was, on the session's clock.
        failure: On the session's clock.
    """
    zero_ms = log.acts[0].end_ms if log.acts else 0.0
    user, bot = _from(user_levels, zero_ms), _from(bot_levels, zero_ms)
    said = [
        Stretch(act.text or "(sound)", act.begin_ms - zero_ms, act.end_ms - zero_ms)
        for act in log.acts
        if act.kind in ("typed", "spoke")
    ]
    tools: list[Mark] = []
    cuts: list[Mark] = []
    for at_ms, event in log.happened:
        match event:
            case events.ToolCallStarted():
                tools.append(Mark(call_text(event.name, event.arguments), at_ms - zero_ms))
            case events.Interrupted():
                cuts.append(Mark(f"cut by the {event.source.value}", at_ms - zero_ms))
            case _:
                pass
    words = _heard(log, zero_ms, cuts)
    unheard = _unheard(log, conversation, zero_ms)
    missed = None if failure is None else Mark(failure.text, failure.at_ms - zero_ms)
    ends = [
        *(at_ms for at_ms, _ in (*user, *bot)),
        *(one.end_ms for one in (*said, *words)),
        *(mark.at_ms for mark in (*tools, *cuts, *unheard)),
        *([missed.at_ms] if missed else []),
    ]
    return Scene(user, bot, said, words, unheard, tools, cuts, missed, max(ends, default=0.0))


def _from(levels: list[Level], zero_ms: float) -> list[Level]:
    return [(at_ms - zero_ms, level) for at_ms, level in levels]


def _heard(log: VoiceLog, zero_ms: float, cuts: list[Mark]) -> list[Stretch]:
    """Words as long as they sounded: one that was cut off ends there."""
    heard: list[Stretch] = []
    for at_ms, event in log.happened:
        if isinstance(event, events.BotWord):
            start_ms = at_ms - zero_ms
            end_ms = start_ms + event.end_ms - event.start_ms
            cut = (cut.at_ms for cut in cuts if start_ms <= cut.at_ms < end_ms)
            heard.append(Stretch(event.text, start_ms, next(cut, end_ms)))
    return heard


def _unheard(log: VoiceLog, conversation: Conversation, zero_ms: float) -> list[Mark]:
    stopped: dict[str, float] = {}
    for at_ms, event in log.happened:
        if isinstance(event, events.UtteranceStarted | events.BotWord | events.UtteranceEnded):
            stopped[event.utterance_id] = at_ms - zero_ms
    turns = (turn for turn in conversation.turns if isinstance(turn, BotTurn))
    said = (one for turn in turns for one in turn.utterances if one.unheard_words)
    return [Mark(" ".join(one.unheard_words), stopped.get(one.id, 0.0)) for one in said]
