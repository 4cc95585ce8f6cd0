"""A server that says what it holds: ``watched_server.py SETTINGS``, a JSON object.

First it prints ``{"port": N}``. Then every line on stdin is a question, answered by one line:
``count`` (tasks, sessions), ``memory`` (what is allocated, after a collection), ``types`` (objects
alive by type), ``trace`` / ``compare`` (where the memory since ``trace`` was allocated).
"""

import asyncio
import ctypes
import gc
import json
import os
import sys
import tracemalloc
from collections import Counter
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.calling import CallingLLM
from tests.support.clicks import ClickTTS, ScriptedLLM
from voxwire_server import BotSession
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.logs import configure_logging
from voxwire_server.serving import bind, make_server, registry_of, run_server

FRAMES = 5


class MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


LIBC = ctypes.CDLL(None)
LIBC.mallinfo2.restype = MallInfo


class Talker(CallingLLM):
    """Calls tools by the user's text, and says as many words as it is told to."""

    async def _answer(self, context: LLMContext) -> None:
        last: Any = context.get_messages()[-1]
        if last["role"] == "user" and str(last.get("content")).startswith("say "):
            await ScriptedLLM._answer(self, context)
        else:
            await super()._answer(context)


async def think() -> None:
    """Never ends by itself."""
    await asyncio.Event().wait()


async def bot(session: BotSession) -> None:
    """Speaks, calls a tool of the client (``hang``) and one of the server (``think``)."""
    tools = [*session.client_tools(("hang",), timeout_ms=60_000)]
    tools.append(session.tool(think, timeout_ms=60_000))
    context = LLMContext(tools=tools)
    user, assistant = session.aggregators(context, vad_analyzer=None)
    await session.run([session.input(), user, Talker(), ClickTTS(), session.output(), assistant])


class Watch:
    """Answers the questions on stdin."""

    def __init__(self) -> None:
        self.server: Any = None
        self._unread = b""
        self._before: tracemalloc.Snapshot | None = None

    async def begin(self) -> None:
        """Listen from now on."""
        asyncio.get_running_loop().add_reader(0, self._read)

    def _read(self) -> None:
        data = os.read(0, 4096)
        if not data:
            asyncio.get_running_loop().remove_reader(0)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            print(json.dumps(getattr(self, line.decode())()), flush=True)

    def count(self) -> dict[str, Any]:
        """Tasks and sessions of now."""
        tasks = [task for task in asyncio.all_tasks() if not task.done()]
        return {
            "tasks": len(tasks),
            "names": [str(task.get_coro()) for task in tasks],
            "sessions": len(registry_of(self.server)),
        }

    def memory(self) -> dict[str, int]:
        """What is allocated, by the interpreter and by glibc."""
        gc.collect()
        info = LIBC.mallinfo2()
        return {
            "blocks": sys.getallocatedblocks(),
            "objects": len(gc.get_objects()),
            "used_bytes": info.uordblks + info.hblkhd,
            "free_bytes": info.fordblks,
        }

    def types(self) -> dict[str, int]:
        """Objects that are alive, by type."""
        gc.collect()
        kinds = (type(thing) for thing in gc.get_objects())
        return dict(Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds))

    def holders(self) -> list[str]:
        """Who holds the sessions that are over."""
        from voxwire_server.session.session import Session

        gc.collect()
        things = gc.get_objects()
        lost = [t for t in things if isinstance(t, Session) and t.ended.is_set()]
        said = []
        for session in lost[-1:]:
            level: list[Any] = [session]
            seen = {id(level), id(things), id(lost), id(session)}
            for depth in range(5):
                nxt = []
                for thing in level:
                    for holder in gc.get_referrers(thing):
                        if id(holder) in seen or type(holder).__name__ == "frame":
                            continue
                        seen.add(id(holder))
                        nxt.append(holder)
                        keys = list(holder)[:4] if isinstance(holder, dict) else ""
                        said.append(f"{depth} {type(holder)} {str(keys)[:150]} of {type(thing)}")
                level = nxt[:12]
                seen.add(id(nxt))
                seen.add(id(level))
        return [f"{len(lost)} sessions", *said[:80]]

    def trace(self) -> int:
        """Begin to note where memory is allocated."""
        if not tracemalloc.is_tracing():
            tracemalloc.start(FRAMES)
        gc.collect()
        self._before = tracemalloc.take_snapshot()
        return tracemalloc.get_traced_memory()[0]

    def compare(self) -> list[str]:
        """What is allocated now that was not at ``trace``."""
        gc.collect()
        now = tracemalloc.take_snapshot()
        assert self._before is not None
        top = now.compare_to(self._before, "traceback")[:25]
        return [f"{t.size_diff} B {t.count_diff}\n" + "\n".join(t.traceback.format(8)) for t in top]


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings(**{"port": 0, **json.loads(sys.argv[1])})
    configure_logging(settings.log_level, settings.log_format)
    listener = bind(settings)
    port = listener.getsockname()[1]
    watch = Watch()
    watch.server = make_server(
        settings, LoadedBot(name="watched", run=bot, warm=watch.begin), port=port
    )
    print(json.dumps({"port": port}), flush=True)
    run_server(watch.server, listener)


if __name__ == "__main__":
    main()
