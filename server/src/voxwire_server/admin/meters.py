"""Figures for Prometheus: what sessions tell their clients, counted.

They are read from the messages that go out, so a figure is what a client was told. No label holds a
word, a number, or the id of a user or a session, and every label has a bounded set of values.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from voxwire_protocol import wire
from voxwire_server.caps import Amounts

__all__ = ["CONTENT_TYPE", "STAGES", "Meters"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STAGES: Final = (
    *("vad_ms", "stt_ms", "turn_ms", "llm_ms", "tool_ms", "tts_ms", "output_ms"),
    *("playout_delay_ms", "lead_silence_ms", "total_ms"),
)
"""Those of ``TurnMetrics`` (protocol/spec/metrics.md); the label has them without ``_ms``."""
_LATE_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MAX_PLACES: Final = 50
_MAX_TURNS: Final = 20
_ELSEWHERE: Final = "elsewhere"


class _Told:
    """What one session has told so far, as far as later messages need it."""

    __slots__ = ("began_s", "connected", "ended", "number", "turns", "words")

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.connected = self.ended = False
        self.number = 0
        self.turns: deque[dict[str, int]] = deque(maxlen=_MAX_TURNS)
        self.words: dict[str, int] = {}


class Meters:
    """The figures of one process.

    Args:
        sessions: How many sessions there are, by state.
        places: Most sessions at once.
    """

    def __init__(self, sessions: Callable[[], dict[str, int]], *, places: int) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._told: dict[str, _Told] = {}
        for state in sessions():
            Gauge(
                f"voxwire_sessions_{state}", f"Sessions that are {state}.", registry=registry
            ).set_function(lambda state=state: sessions()[state])
        Gauge("voxwire_sessions_max", "Most sessions at once.", registry=registry).set(places)
        count = _counters(registry)
        self._begun = count("sessions_started", "Sessions that have begun.")
        self._ended = count("sessions_ended", "Sessions that have ended, by reason.", "reason")
        self._refused = count("refusals", "Clients that were turned away, by code.", "code")
        self._words = count("words", "Words that were heard, or cut before they were.", "fate")
        self._cuts = count("interruptions", "Times that the bot was cut off.", "source")
        self._tools = count("tool_calls", "Tool calls that have ended.", "outcome")
        self._errors = count("errors", "Errors that clients were told, by code.", "code")
        self._dropped = count("dropped", "What clients sent and nobody took.", "kind")
        self._spent = count("spent", "What sessions have cost, by what.", "what")
        self._capped = count(
            "caps_reached", "Sessions that a day's cap kept out, or ended.", "what", "moment"
        )
        self._reads = count("secrets_read", "Files of secrets read anew.", "file", "outcome")
        self._stalls = count("event_loop_stalls", "Times that the loop stood still.", "place")
        self._places: set[str] = set()
        total = _summaries(registry)
        self._connect = total("connect", "From Hello to the first audio path.")
        self._turns = total("turn", "What the user waited for, by stage.", "stage")
        late = partial(Histogram, buckets=_LATE_S, registry=registry)
        self._lag = late(
            "voxwire_event_loop_lag_seconds", "How late the loop woke up, ten times a second."
        )
        self._late = late(
            "voxwire_timers_late_seconds",
            "How late sessions' timers and blocks over WebRTC were: nearly all of it paces audio.",
        )

    def watch(
        self,
        is_busy: Callable[[], bool],
        late_ms: Callable[[], float],
        *,
        starting: Callable[[], int],
        num_waiting: Callable[[], int],
    ) -> None:
        """Show how the process bears its sessions.

        Args:
            is_busy: True while new ones are refused for those that there are.
            late_ms: How late the event loop is, the 95th percentile of ten seconds, milliseconds.
            starting: How many clients wait for their turn to begin a session.
            num_waiting: How many wait for a place.
        """
        gauge = partial(Gauge, registry=self._registry)
        gauge("voxwire_busy", "1 while new sessions are refused for load.").set_function(is_busy)
        gauge("voxwire_event_loop_lag_p95_seconds", "Of the last ten seconds.").set_function(
            lambda: late_ms() / 1000
        )
        gauge("voxwire_starts_waiting", "Clients whose turn to begin has not come.").set_function(
            starting
        )
        gauge("voxwire_waiting", "Clients that wait for a place.").set_function(num_waiting)

    def watch_turn(self, up: Callable[[], int], down: Callable[[], int]) -> None:
        """Show how many TURN servers give an allocation, and how many do not."""
        gauge = partial(Gauge, registry=self._registry)
        gauge("voxwire_turn_servers_up", "TURN servers that gave one.").set_function(up)
        gauge("voxwire_turn_servers_down", "TURN servers that gave none.").set_function(down)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def turns_of(self, session_id: str) -> list[dict[str, int]]:
        """The last 20 turns of a session: the stages of each, milliseconds."""
        told = self._told.get(session_id)
        return [] if told is None else list(told.turns)

    def number_of(self, session_id: str) -> int:
        """How many turns a session has had."""
        told = self._told.get(session_id)
        return 0 if told is None else told.number

    # what sessions say (session.told.Told)

    def begun(self, session_id: str) -> None:
        """A session has begun."""
        self._begun.inc()
        self._told[session_id] = _Told()

    def over(self, session_id: str, dropped: dict[str, int]) -> None:
        """It is over; what it dropped."""
        told = self._told.pop(session_id, None)
        if told is not None and not told.ended:  # it was cancelled, and told nobody
            self._ended.labels("error").inc()
        for kind, number in dropped.items():
            self._dropped.labels(kind).inc(number)

    def refused(self, code: int) -> None:
        """A client was turned away with that error."""
        self._refused.labels(_plain(wire.ErrorCode, code)).inc()

    def spent(self, amounts: Amounts) -> None:
        """A session has spent something."""
        for name, amount in amounts._asdict().items():
            self._spent.labels(name).inc(amount)

    def capped(self, name: str, *, at_start: bool) -> None:
        """A session was kept out, or has to end, because that is used up for the day."""
        self._capped.labels(name, "start" if at_start else "session").inc()

    def read_again(self, file: str, outcome: str) -> None:
        """A file of secrets was read anew: ``keys`` or ``turn_secret``, ``ok`` or ``failed``."""
        self._reads.labels(file, outcome).inc()

    def late(self, late_ms: float) -> None:
        """A timer of a session, or a block of its audio, was so late."""
        self._late.observe(late_ms / 1000)

    def lagged(self, seconds: float) -> None:
        """How late the event loop woke up."""
        self._lag.observe(seconds)

    def stalled(self, place: str) -> None:
        """The event loop stood still at that line; of too many places the rest is ``elsewhere``."""
        if place not in self._places and len(self._places) >= _MAX_PLACES:
            place = _ELSEWHERE
        self._places.add(place)
        self._stalls.labels(place).inc()

    def sent(self, session_id: str, envelope: wire.Envelope) -> None:
        """A session told its client something."""
        told = self._told.get(session_id)
        if told is None:
            return
        match envelope.WhichOneof("payload"):
            case "path_ready" if not told.connected:
                told.connected = True
                self._connect.observe(time.monotonic() - told.began_s)
            case "utterance_words":
                words = envelope.utterance_words
                number = words.first_index + len(words.words)
                told.words[words.utterance_id] = max(number, told.words.get(words.utterance_id, 0))
            case "utterance_ended":
                self._heard(told, envelope.utterance_ended)
            case "interrupted":
                source = _plain(wire.InterruptionSource, envelope.interrupted.source)
                self._cuts.labels(source).inc()
            case "tool_call_ended":
                outcome = _plain(wire.ToolOutcome, envelope.tool_call_ended.outcome)
                self._tools.labels(outcome).inc()
            case "turn_metrics":
                told.number += 1
                told.turns.append(self._turn(envelope.turn_metrics))
            case "error":
                self._errors.labels(_plain(wire.ErrorCode, envelope.error.code)).inc()
            case "session_ended":
                told.ended = True
                self._ended.labels(_plain(wire.EndReason, envelope.session_ended.reason)).inc()
            case _:
                return

    def _heard(self, told: _Told, ended: wire.UtteranceEnded) -> None:
        number = told.words.pop(ended.utterance_id, 0)
        self._words.labels("heard").inc(ended.heard_words)
        self._words.labels("cut").inc(max(0, number - ended.heard_words))

    def _turn(self, metrics: wire.TurnMetrics) -> dict[str, int]:
        given = {field.name: value for field, value in metrics.ListFields()}
        stages = {stage: int(given[stage]) for stage in STAGES if stage in given}
        stages.setdefault("playout_delay_ms", 0)  # the one that is always set
        for stage, length_ms in stages.items():
            self._turns.labels(stage.removesuffix("_ms")).observe(length_ms / 1000)
        return stages


def _plain(enum: Any, number: int) -> str:
    """A value's name without its enumeration's: ``timed_out``."""
    names: Iterable[str] = enum.keys()
    prefix = next(iter(names)).removesuffix("UNSPECIFIED")
    return str(enum.Name(number)).removeprefix(prefix).lower()


def _counters(registry: CollectorRegistry) -> Callable[..., Counter]:
    def make(name: str, said: str, *labels: str) -> Counter:
        return Counter(f"voxwire_{name}", said, labels, registry=registry)

    return make


def _summaries(registry: CollectorRegistry) -> Callable[..., Summary]:
    def make(name: str, said: str, *labels: str) -> Summary:
        return Summary(f"voxwire_{name}_seconds", said, labels, registry=registry)

    return make
