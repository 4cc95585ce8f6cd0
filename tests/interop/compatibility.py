"""What works with which peer: the table behind ``protocol/spec/compatibility.md``.

``python -m tests.interop.compatibility`` writes the page; with ``record`` it runs the conversations
first and notes which messages really went over the wire (``seen.json``).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from voxwire_protocol import rtvi
from voxwire_protocol.rtvi import Direction

__all__ = ["PAGE", "PEERS", "Cell", "Peer", "cells", "page", "seen"]

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "protocol" / "spec" / "compatibility.md"
SEEN: Final = Path(__file__).with_name("seen.json")
PIPECAT: Final = "https://github.com/pipecat-ai/pipecat/blob/v1.14.0/src/pipecat"
MODELS: Final = f"{PIPECAT}/processors/frameworks/rtvi/models.py"
VECTORS: Final = "protocol/python/tests/test_rtvi_peers.py::test_"
PAGES: Final = "clients/js/test/browser/stock-talk.test.ts"
JS_BOTS: Final = "clients/js/test/browser/stock-bot.test.ts"
BOTS: Final = "tests/interop/test_stock_bot.py"
SCENARIOS: Final = "tests/interop/test_scenarios.py"


@dataclass(frozen=True)
class Peer:
    """A column.

    Attributes:
        key: Its name in the data.
        title: Its name on the page.
        is_bot: Whether it is a bot that our clients talk to; else it is a client of our server.
        form_test: Holds what becomes of the messages of the vectors' scripts.
        corpus_test: Holds the form of every message of the installed wheel.
        talk_test: Holds a conversation with it; empty = there is none, forms alone.
        who: What `tests.support.seen` calls that conversation: every part of it.
        records: Whether that conversation can be recorded.
    """

    key: str
    title: str
    is_bot: bool
    form_test: str
    corpus_test: str
    talk_test: str = ""
    who: tuple[str, ...] = ()

    @property
    def records(self) -> bool:
        return bool(self.who)


_TO_US: Final = f"{VECTORS}a_stock_client_is_understood_and_answered"
_TO_BOTS: Final = f"{VECTORS}a_stock_bot_is_understood_and_asked"
_TO_BOTS_JS: Final = "clients/js/packages/protocol/test/rtvi.test.ts::a stock bot: %s"
_CORPUS: Final = "protocol/python/tests/test_rtvi.py::test_"
_EACH: Final = f"{_CORPUS}a_message_comes_back_from_text_and_from_bytes"
_EACH_OF_BOTS: Final = (
    f"{_CORPUS}every_message_of_a_bot_is_read_with_nothing_lost_that_has_no_envelope"
)
_EACH_JS: Final = (
    "clients/js/packages/protocol/test/rtvi.test.ts"
    "::every message comes back from its text, with or without what it was read from"
)
_PAGE_TALK: Final = f"{PAGES}::hold a conversation, with a token and without one"
_JS_TALK: Final = (
    f"{JS_BOTS}::ready, output, barge-in, transcripts, a tool of the page, requests, disconnect"
)

PEERS: Final = (
    Peer("page-webrtc", "client-js, SmallWebRTC", False, _TO_US, _EACH, _PAGE_TALK,
         ("webrtc ", "pipecat-ai/client-js")),
    Peer("page-websocket", "client-js, WebSocket", False, _TO_US, _EACH, _PAGE_TALK,
         ("websocket ", "pipecat-ai/client-js")),
    Peer("eval", "`pipecat eval`", False, _TO_US, _EACH, f"{SCENARIOS}::test_a_scenario_passes",
         (f"{SCENARIOS}::",)),
    Peer("mobile", "iOS, Android", False, _TO_US, _EACH),
    Peer("pipecat-python", "Pipecat's Python client", False, _TO_US, _EACH),
    Peer("python-webrtc", "Python client, SmallWebRTC", True, _TO_BOTS, _EACH_OF_BOTS,
         f"{BOTS}::test_a_conversation", (f"{BOTS}::", "webrtc")),
    Peer("python-websocket", "Python client, WebSocket", True, _TO_BOTS, _EACH_OF_BOTS,
         f"{BOTS}::test_a_conversation", (f"{BOTS}::", "websocket")),
    Peer("js-webrtc", "JS client, SmallWebRTC", True, _TO_BOTS_JS, _EACH_JS, _JS_TALK),
    Peer("js-websocket", "JS client, WebSocket", True, _TO_BOTS_JS, _EACH_JS, _JS_TALK),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What becomes of a message with a peer.

    Attributes:
        status: ``pass``, ``degraded`` or ``unsupported``.
        why: The reason, or the link to the peer's source.
        test: What holds it.
        seen: Whether it went over the wire in that test.
    """

    status: str
    why: str
    test: str
    seen: bool


_PIPELINES: Final = "only if the bot's pipeline sends it (off in Pipecat by default)"
_FOR_CLIENTS: Final = {
    **dict.fromkeys(
        (
            *("vad-user-started-speaking", "vad-user-stopped-speaking"),
            *("user-audio-level", "bot-audio-level", "stt-raw-text"),
            *("llm-raw-text", "tts-raw-text", "bot-llm-marker", "bot-llm-search-response"),
            *("bot-tts-audio", "system-log", "ui-command", "ui-job-group"),
        ),
        _PIPELINES,
    ),
    "append-to-context": "answered with `error-response`, as Pipecat 2 does: `send-text` it is",
    "bot-ready": "says nothing of a session: stock clients cannot resume one by id",
    "error": "RTVI has no codes: the reason alone",
}
"""Degraded with every client of our server."""

_IN_PLACE: Final = (
    "for RTVI before 1.2 and native apps; others are told `-in-progress` in its place"
)
_FOR_BOTS: Final = {
    **dict.fromkeys(
        ("raw-audio", "raw-audio-batch"), "never written: the user's audio has a path of its own"
    ),
    "append-to-context": "written to bots before RTVI 1.1 alone; later ones take `send-text`",
    "send-file": "one message, bounded by what the carrier takes; a bot tells nothing of it",
    "bot-ready": "no session id: such a session cannot be resumed by one",
    "error": "RTVI has no codes: `BOT_FAILED` when fatal, else `SERVICE_FAILED`",
    "bot-tts-text": "words are timed by their arrival (`ARRIVAL`), ends are unknown",
    **dict.fromkeys(
        ("bot-tts-started", "bot-tts-stopped"),
        "read for nothing: `bot-started-speaking` and the first word begin an utterance",
    ),
    "llm-function-call-started": "read for nothing: it names no call",
    "user-transcription": "read of bots that send no `user-input`: the same twice in RTVI 2.2",
}
"""Degraded with every stock bot."""

_GONE: Final = f"[RTVI 2 has no such message]({MODELS})"


def cells(kind: str) -> Iterator[tuple[Peer, Cell]]:
    """The row of a message."""
    went = seen()
    for peer in PEERS:
        was = kind in went.get(peer.key, ())
        by_form = peer.form_test if kind in _scripted(peer.is_bot) else peer.corpus_test
        test = peer.talk_test if was else by_form
        status, why = _status(kind, peer)
        yield peer, Cell(status, why, test, was)


@cache
def _scripted(is_bot: bool) -> frozenset[str]:
    """Types that the scripts of one side's vectors have in them."""
    pattern = "bot-*.json" if is_bot else "client-*.json"
    texts = [path.read_text("utf-8") for path in (ROOT / "protocol/vectors/rtvi").glob(pattern)]
    return frozenset(kind for kind in rtvi.MESSAGE_TYPES for text in texts if f'"{kind}"' in text)


def _status(kind: str, peer: Peer) -> tuple[str, str]:
    if not peer.is_bot and kind == "append-to-context-result":
        return "unsupported", _GONE
    if not peer.is_bot and kind == "llm-function-call" and peer.key != "mobile":
        return "degraded", _IN_PLACE
    why = (_FOR_BOTS if peer.is_bot else _FOR_CLIENTS).get(kind, "")
    return ("degraded", why) if why else ("pass", "")


def seen() -> dict[str, list[str]]:
    """Types of the messages that went over the wire, by peer."""
    found: dict[str, list[str]] = json.loads(SEEN.read_text("utf-8"))
    return found


# the page

_HEAD: Final = """\
# Compatibility

What becomes of each RTVI message with each peer. Written by `python -m tests.interop.compatibility`
from a table there and from what was seen on the wire (`record`); a test holds it against the
messages of the Pipecat that is installed, so that a new one turns it red. How a message is mapped
stands in [rtvi.md](rtvi.md).

`pass`: it went over the wire in a conversation with that peer. `pass, form`: it is read and
written as the peer has it (vectors, from the models of the installed wheel), and was in no
conversation that was recorded. What is degraded or unsupported has a note.
"""


def page() -> str:
    """The whole page."""
    notes: dict[str, int] = {}
    parts = [_HEAD]
    for direction, title in (
        (Direction.CLIENT_TO_SERVER, "Client to bot"),
        (Direction.SERVER_TO_CLIENT, "Bot to client"),
    ):
        parts.append(f"## {title}\n")
        parts.append(_table(direction, notes))
    parts.append("## Notes\n")
    parts.append("".join(f"{number}. {why}\n" for why, number in notes.items()))
    parts.append("## What holds it\n")
    parts.append(_tests())
    return "\n".join(parts)


def _table(direction: Direction, notes: dict[str, int]) -> str:
    titles = " | ".join(peer.title for peer in PEERS)
    lines = [f"| message | {titles} |", "|---" * (len(PEERS) + 1) + "|"]
    for name, kind in sorted(rtvi.MESSAGE_TYPES.items()):
        if kind.direction == direction:
            row = " | ".join(_shown(cell, notes) for _, cell in cells(name))
            lines.append(f"| `{name}` | {row} |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell, notes: dict[str, int]) -> str:
    if cell.status == "pass":
        return "pass" if cell.seen else "pass, form"
    return f"{cell.status} {notes.setdefault(cell.why, len(notes) + 1)}"


def _tests() -> str:
    lines = ["| peer | conversation | scripts | every message |", "|---|---|---|---|"]
    for peer in PEERS:
        talk = f"`{peer.talk_test}`" if peer.talk_test else "none: forms alone"
        if peer.talk_test and not peer.records:
            talk += " (not recorded)"
        lines.append(f"| {peer.title} | {talk} | `{peer.form_test}` | `{peer.corpus_test}` |")
    return "\n".join(lines) + "\n"


# what was seen


def record() -> None:
    """Run the conversations that can be recorded, and keep what was seen."""
    found = seen()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", suffix=".tsv") as file:
        environment = {**os.environ, "VOXWIRE_TEST_SEEN": file.name}
        python = [path for path in (SCENARIOS, BOTS) if (ROOT / path).is_file()]
        commands = [[sys.executable, "-m", "pytest", "-q", *python]]
        if (ROOT / PAGES).is_file():
            config = ["--config", "clients/js/vitest.browser.config.ts"]
            path = PAGES.removeprefix("clients/js/")
            commands.append(["node_modules/.bin/vitest", "run", *config, path])
        for command in commands:
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
        lines = [line.rstrip("\n").split("\t") for line in file]
    for peer in PEERS:
        types = {kind for who, kind in lines if peer.who and all(p in who for p in peer.who)}
        if types:
            found[peer.key] = sorted(types & set(rtvi.MESSAGE_TYPES))
    SEEN.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if "record" in sys.argv[1:]:
        record()
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
