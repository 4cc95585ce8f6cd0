"""What a program may do with a session: every verb there is, and every way to be done with it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from lifecycle import CLOSING_MS, WAIT_MS, Bench

import voxwire
from voxwire import LiveAudio

AT_ONCE = 0
DEVICES_MS = 4500
"""Two devices that do not close are each waited for 2 s."""


@dataclass(frozen=True)
class Verb:
    """A verb of a session.

    Attributes:
        run: Does it.
        limit_ms: Its deadline; None = the end of the session.
        name: What it is called in the class, where the row is another one.
    """

    run: Callable[[voxwire.Session], Awaitable[Any]]
    limit_ms: float | None = AT_ONCE
    name: str = ""


async def _iterate(session: voxwire.Session) -> None:
    async for _ in session:
        pass


async def _stream(session: voxwire.Session) -> None:
    async for _ in session.events(voxwire.BotWord):
        pass


async def _sound(session: voxwire.Session) -> None:
    async for _ in session.sound():
        pass


async def _levels_every(session: voxwire.Session) -> None:
    async for _ in session.audio.levels_every(20):
        pass


async def _push_to_talk(session: voxwire.Session) -> None:
    async with session.push_to_talk():
        await asyncio.sleep(0.1)  # real time: pace


async def _handle(session: voxwire.Session) -> None:
    session.handle("method", lambda data: data)()


async def _on(session: voxwire.Session) -> None:
    async def hear(_: object) -> None:
        raise LookupError("a bug of the program")

    session.on(object, hear)


async def _tap(session: voxwire.Session) -> None:
    session.tap(lambda _: None)()


async def _report(session: voxwire.Session) -> None:
    session.report()


def _read(name: str) -> Callable[[voxwire.Session], Awaitable[Any]]:
    async def read(session: voxwire.Session) -> Any:
        return getattr(session, name)

    return read


def _of_audio(name: str) -> Callable[[voxwire.Session], Awaitable[Any]]:
    async def read(session: voxwire.Session) -> Any:
        return getattr(session.audio, name)

    return read


async def _set_volume(session: voxwire.Session) -> None:
    session.audio.volume = 0.5


VERBS: dict[str, Verb] = {
    "__anext__": Verb(_iterate, None),
    "send_text": Verb(lambda it: it.send_text("hello")),
    "send_text over it": Verb(lambda it: it.send_text("hello", interrupt=True), name="send_text"),
    "send_context": Verb(lambda it: it.send_context("by the way")),
    "send_dtmf": Verb(lambda it: it.send_dtmf("12#")),
    "send_message": Verb(lambda it: it.send_message("note", 1)),
    "send_file": Verb(lambda it: it.send_file("b.txt", "text/plain", b"hello"), None),
    "interrupt": Verb(lambda it: it.interrupt()),
    "mute": Verb(lambda it: it.mute()),
    "unmute": Verb(lambda it: it.mute(False), name="mute"),
    "push_to_talk": Verb(_push_to_talk, 100),
    "call": Verb(lambda it: it.call("double", 2), WAIT_MS),
    "call, no answer": Verb(lambda it: it.call("nobody"), WAIT_MS, name="call"),
    "acknowledged": Verb(lambda it: it.acknowledged(), WAIT_MS),
    "handle": Verb(_handle),
    "on": Verb(_on),
    "wait_for": Verb(lambda it: it.wait_for(voxwire.Interrupted), WAIT_MS),
    "events": Verb(_stream, None),
    "sound": Verb(_sound, None),
    "user_activity": Verb(lambda it: it.user_activity()),
    "report": Verb(_report),
    "tap": Verb(_tap),
    "play": Verb(
        lambda it: it.play(voxwire.Audio(np.zeros(800, np.int16), sample_rate=16_000)), None
    ),
    "set_microphone": Verb(lambda it: it.set_microphone(None), DEVICES_MS),
    "set_speaker": Verb(lambda it: it.set_speaker(None), DEVICES_MS),
    "audio.devices": Verb(lambda it: it.audio.devices(), DEVICES_MS),
    "audio.refresh": Verb(lambda it: it.audio.refresh(), DEVICES_MS),
    "audio.volume": Verb(_set_volume),
    "audio.levels": Verb(_of_audio("levels")),
    "audio.levels_every": Verb(_levels_every, None),
    **{
        name: Verb(_read(name))
        for name, kind in inspect.getmembers(voxwire.Session)
        if isinstance(kind, property)
    },
}

OWN = {f"audio.{name}" for name in ("run", "begin", "active")} | {
    f"audio.{what}_{side}" for what in ("use", "leave") for side in ("microphone", "speaker")
}
"""What the session itself calls."""


def public_names() -> set[str]:
    """Every verb and value of a session, and of its audio."""
    names = {name for name in dir(voxwire.Session) if not name.startswith("_")}
    return names | {f"audio.{name}" for name in dir(LiveAudio) if not name.startswith("_")}


def start_verbs(bench: Bench) -> None:
    """Does all there is at once, each in a task of its own."""
    assert bench.session is not None
    for name, verb in VERBS.items():
        bench.do(name, verb.run(bench.session), limit_ms=verb.limit_ms)


async def _stay(bench: Bench) -> None:
    """Waits for what comes."""


async def _leave(bench: Bench) -> None:
    bench.leave.set()


async def _raise(bench: Bench) -> None:
    bench.raises = True
    bench.leave.set()


async def _cancel(bench: Bench) -> None:
    assert bench.program is not None
    bench.cancel(bench.program)


async def _cancel_twice(bench: Bench) -> None:
    await _cancel(bench)
    await asyncio.sleep(0)
    await _cancel(bench)


async def _again(bench: Bench) -> None:
    bench.do("connect again", bench.connection.__aenter__())


async def _close(bench: Bench) -> None:
    assert bench.session is not None
    bench.do("close", bench.session.close(), limit_ms=CLOSING_MS)


async def _close_twice(bench: Bench) -> None:
    assert bench.session is not None
    for name in ("close", "close too"):
        bench.do(name, bench.session.close("bye"), limit_ms=CLOSING_MS)
    bench.leave.set()


async def _verbs(bench: Bench) -> None:
    start_verbs(bench)


async def _verbs_cancelled(bench: Bench) -> None:
    start_verbs(bench)
    await asyncio.sleep(0)
    for name in VERBS:
        bench.cancel(bench.running[name])


async def _verbs_and_cancel(bench: Bench) -> None:
    start_verbs(bench)
    await bench.time.advance(25)
    await _cancel(bench)


async def _bug_in_a_handler(bench: Bench) -> None:
    assert bench.session is not None

    def hear(_: object) -> None:
        raise LookupError("a bug of the program")

    bench.session.on(object, hear)


async def _close_in_a_handler(bench: Bench) -> None:
    session = bench.session
    assert session is not None

    async def hear(_: object) -> None:
        await session.close()

    session.on(object, hear)
    await bench.time.advance(100)


ENDINGS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "stay": _stay,
    "leave": _leave,
    "raise": _raise,
    "cancel": _cancel,
    "cancel twice": _cancel_twice,
    "connect again": _again,
}
"""In every state."""

IN_SESSION: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "close": _close,
    "close twice": _close_twice,
    "verbs": _verbs,
    "verbs cancelled": _verbs_cancelled,
    "verbs, cancel": _verbs_and_cancel,
    "bug in a handler": _bug_in_a_handler,
    "close in a handler": _close_in_a_handler,
}
"""Where there is a session, or was."""
