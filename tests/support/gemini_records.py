"""What the local Gemini Live peer was told, what it said, and what shall go wrong in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.gemini_voice import TrueWord

__all__ = ["Fault", "PeerSettings", "Received", "SpokenTurn"]


@dataclass
class SpokenTurn:
    """One turn of the model.

    Attributes:
        text: All that it meant to say.
        words: The true times of all that, from the first sample of the turn's audio.
        duration_ms: How long all that is.
        sent_ms: How much of its audio was sent.
        transcribed: The output transcription that was sent.
        began_at: Loop time of the first audio.
        interrupted: The user cut it.
        complete: ``turnComplete`` was sent.
    """

    text: str
    words: tuple[TrueWord, ...]
    duration_ms: int
    sent_ms: int = 0
    transcribed: str = ""
    began_at: float = 0.0
    interrupted: bool = False
    complete: bool = False


@dataclass
class Received:
    """One connection: what came in, and what went out."""

    path: str
    key: str
    opened_at: float
    session_id: str = ""
    setup: dict[str, Any] = field(default_factory=dict)
    resumed_from: str = ""
    client_contents: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)
    tool_responses: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    cancelled_calls: list[str] = field(default_factory=list)
    audio_ms: int = 0
    heard: list[str] = field(default_factory=list)
    handles: list[str] = field(default_factory=list)
    spoken: list[SpokenTurn] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    interruptions: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def note_sent(self, message: Mapping[str, Any]) -> None:
        """Remember the kind of a message, for assertions about their order."""
        for kind, fields in message.items():
            if kind == "serverContent":
                self.sent += [f"serverContent.{name}" for name in fields]
            elif kind != "usageMetadata":
                self.sent.append(kind)


@dataclass
class Fault:
    """Something that goes wrong once (or `times`) at a point of a session.

    Attributes:
        kind: ``quota`` (close 1011), ``malformed`` (send `data`), ``hang`` (say nothing more, read
            on), ``close`` (with `close`), ``drop`` (cut the connection without a close frame).
        at: ``setup`` (instead of setupComplete), ``turn`` (after `after_ms` of a turn's audio),
            ``tool`` (instead of a toolCall).
        times: How many connections or turns it hits; -1 = all.
    """

    kind: str
    at: str = "setup"
    times: int = 1
    after_ms: int = 600
    data: str | bytes = '{"serverContent": {"modelTurn": '
    close: tuple[int, str] = (1011, "Internal error encountered.")


@dataclass
class PeerSettings:
    """How the peer behaves; may be changed while it runs.

    Attributes:
        key: The key that is accepted.
        speed: How much faster than real time the audio is sent.
        chunk_ms: Audio in a message.
        think_ms: From the end of the user's turn to the answer.
        silence_ms: Silence that ends the user's turn, unless the setup says so.
        transcript_lead_ms: How far before its sound's message a word is in the transcription;
            negative = after it. Vertex sends all of it first: a large number.
        waits_for_playback: ``turnComplete`` comes when the audio would have been played in real
            time, and until then the user can interrupt.
        handle_at_setup: A resumption handle comes at once, not only after the first turn.
        exclusive_resume: A session whose earlier connection is open cannot be resumed (the real
            API closes with 1011).
        end_after_s: Every connection is ended by the server after so long; 0 = never.
        go_away_s: How long before that it is announced; 0 = not at all.
        end_close: What it is closed with.
        voice: espeak-ng's voice.
        rate: Words per minute.
    """

    key: str = "local-peer-key"
    speed: float = 4.0
    chunk_ms: int = 100
    think_ms: int = 150
    silence_ms: int = 500
    transcript_lead_ms: int = 0
    waits_for_playback: bool = True
    handle_at_setup: bool = True
    exclusive_resume: bool = True
    end_after_s: float = 0.0
    go_away_s: float = 3.0
    end_close: tuple[int, str] = (1011, "Deadline expired before operation could complete.")
    voice: str = "en-us"
    rate: int = 160
