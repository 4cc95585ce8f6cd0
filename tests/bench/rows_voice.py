"""Rows V1 and V3: how well the offline bot is understood, and what a session of it costs."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import contenders
from tests.bench.intelligible import Understood, ears_of, understood
from tests.bench.measure import Meter
from tests.bench.processes import LOAD_CORE, ROOT, BenchError, pin, serving, stop
from tests.bench.report import Line
from tests.support.espeak import render_pcm, shared_espeak
from voxwire_server.bots.offline.phrases import speak_pcm
from voxwire_server.bots.offline.voice import shared_voice

if TYPE_CHECKING:
    from tests.bench.rows import Bench

WEIGHTS = "VOXWIRE_WHISPER_BASE"
"""Names a folder with whisper base as CTranslate2 has it: nothing that is installed brings it."""
WORD_ERROR = 4.0
SPEAKING_PERCENT = 4.0
LISTENERS = 5
TIMEOUT_S = 120


async def _espeak(text: str) -> bytes:
    return (await render_pcm(text))[0]


async def v1(bench: "Bench") -> list[Line]:
    """What whisper base, which is told nothing, hears of the bot's own sentences."""
    base = os.environ.get(WEIGHTS)
    lines: list[Line] = []
    try:
        for name, folder in (("tiny.en", None), ("base", Path(base) if base else None)):
            what, bound = f"word error as whisper {name} hears it", WORD_ERROR
            if name == "base" and folder is None:
                note = f"its weights are not here: {WEIGHTS} names their folder"
                lines.append(
                    Line(row="V1", what=what, unit="%", bound=bound, must=False, note=note)
                )
                continue
            ears = await asyncio.to_thread(ears_of, folder)
            ours, peer = await understood(speak_pcm, ears), await understood(_espeak, ears)
            bench.keep(f"V1 {name}", {"ours": asdict(ours), "espeak": asdict(peer)})
            lines.append(
                Line(
                    row="V1",
                    what=what,
                    unit="%",
                    ours=ours.percent,
                    peer=peer.percent,
                    bound=bound if name == "base" else None,
                    must=False,
                    note=_told(ours),
                )
            )
    finally:
        await asyncio.gather(shared_voice().aclose(), shared_espeak().aclose())
    return lines


def _told(found: Understood) -> str:
    return f"{found.errors} of {found.words} words; peer: espeak-ng"


async def v3(bench: "Bench") -> list[Line]:
    """Server CPU per session while the bot tells its story, helper processes included."""
    async with serving(contenders.OUR_OFFLINE) as (server, port):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.stories"),
            *("--port", str(port), "--sessions", str(LISTENERS)),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=pin(LOAD_CORE),
        )
        meter = Meter(server, [process.pid, os.getpid()])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                events = _events(process)
                await _until(events, "speaking")
                meter.start()
                await _until(events, "done")
                usage = meter.stop()
                result = await _until(events, "result")
        finally:
            await stop(process)
    bench.keep("V3", {**result, "usage": asdict(usage)})
    return [
        Line(
            row="V3",
            what=f"CPU per session, offline bot telling a story over WebRTC, {LISTENERS} sessions",
            unit="% of a core",
            ours=usage.server_percent / LISTENERS,
            bound=SPEAKING_PERCENT,
            must=False,
            noisy=usage.noisy,
            note=f"words heard: {', '.join(map(str, result['words']))}",
        )
    ]


async def _events(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b'{"event"'):
            yield json.loads(line)


async def _until(events: AsyncIterator[dict[str, Any]], name: str) -> dict[str, Any]:
    async for event in events:
        if event["event"] == name:
            return event
    raise BenchError(f"the listeners ended before {name!r}")
