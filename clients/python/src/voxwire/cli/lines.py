"""The lines in which a conversation is told, one for everything that is complete."""

import os

from voxwire.cli.captions import Captions
from voxwire_protocol import events

__all__ = [
    "connection_line",
    "device_line",
    "plain_line",
    "quality_line",
    "skipped_line",
    "spoken_line",
    "tool_line",
    "turn_line",
]


def plain_line(event: events.Event, captions: Captions) -> str:
    """The line for an event; empty = none."""
    match event:
        case events.SessionStarted():
            hint = f" Try: {', '.join(event.examples)}" if event.examples else ""
            return f"-- connected to {f'the bot {event.bot!r}' if event.bot else 'the bot'}.{hint}"
        case events.PathChanged():
            why = f" ({event.fallback_detail})" if event.fallback_detail else ""
            return f"-- audio over {event.carrier}{why}"
        case events.ConnectionChanged():
            return connection_line(event)
        case events.DeviceChanged() if event.reason:
            return device_line(event)
        case events.EventsSkipped():
            return f"-- {skipped_line(event)}"
        case events.UserTranscript(final=True):
            return f"you: {event.text}"
        case events.UtteranceEnded():
            heard, unheard = captions.text_of(event.utterance_id, event.heard_char_end)
            cut = " --" if event.end == events.UtteranceEnd.INTERRUPTED and unheard else ""
            return f"bot: {heard}{cut}" if heard or cut else ""
        case events.ToolCallStarted() | events.ToolCallEnded():
            return f"     {tool_line(event)}"
        case events.TurnMetrics():
            return f"     {turn_line(event)}"
        case events.Interrupted():
            return "     [interrupted]"
        case events.ErrorEvent():
            return f"error: {event.code.name}: {event.reason}"
        case events.SessionEnded():
            return f"-- ended by the {event.reason} after {event.duration_ms / 1000:.1f} s"
        case _:
            return ""


def spoken_line(name: str, done_ms: int, length_ms: int | None) -> str:
    """How much of a file was spoken."""
    whole = "" if length_ms is None else f" of {_clock(length_ms)}"
    return f"[{os.path.basename(name)}: {_clock(done_ms)}{whole}]"


def _clock(duration_ms: int) -> str:
    minutes, seconds = divmod(duration_ms // 1000, 60)
    return f"{minutes}:{seconds:02}"


def tool_line(event: events.ToolCallStarted | events.ToolCallEnded) -> str:
    """A tool call in a few words."""
    if isinstance(event, events.ToolCallStarted):
        return (
            f"[{event.name} {event.arguments if event.arguments is not None else ''}".strip() + "]"
        )
    return f"[{event.name}: {event.outcome}, {event.duration_ms} ms]"


def connection_line(event: events.ConnectionChanged) -> str:
    """A lost connection, once, and that it is back; empty = nothing worth saying."""
    if event.state == events.ConnectionState.RECONNECTING:
        return "-- reconnecting..." if event.attempt == 1 else ""
    return f"-- back after {event.after_ms / 1000:.1f} s" if event.attempt else ""


def device_line(event: events.DeviceChanged) -> str:
    """A device that was lost, or that is another one now, and why."""
    what = "lost" if event.state == events.DeviceState.LOST else "in use"
    return f"-- {event.kind} {event.name} {what}: {event.reason}"


def quality_line(quality: events.Quality) -> str:
    """How well the audio flowed, in what is known of it."""
    known = [f"line {quality.grade}"]
    if quality.round_trip_ms is not None:
        known.append(f"round trip {quality.round_trip_ms:.0f} ms")
    if quality.jitter_ms is not None:
        known.append(f"jitter {quality.jitter_ms:.0f} ms")
    if quality.loss is not None:
        known.append(f"{quality.loss:.1%} lost")
    return f"-- {', '.join(known)}, {quality.concealed_ms} ms of sound made up"


def skipped_line(event: events.EventsSkipped) -> str:
    """That something was lost."""
    return f"{event.count} events were lost" if event.count else "some events were lost"


def turn_line(event: events.TurnMetrics) -> str:
    """How long the user waited."""
    total_ms = event.total_ms
    if total_ms is None:
        total_ms = event.response_ms + event.playout_delay_ms
    since = "your text" if event.typed else "your last word"
    stages = ", ".join(f"{name} {ms}" for name, ms in event.stages.items() if ms)
    whole = f"{total_ms} ms from {since} to the bot's first sound"
    return f"({whole}: {stages})" if stages else f"({whole})"
