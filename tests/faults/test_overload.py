"""Forty who want to talk to a server that has time for some: those it takes hear it in time."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.espeak import render_pcm, shared_espeak

ROOT = Path(__file__).parents[2]
KEY = "an operator's key of more than 32 characters"
NUMBER = 40
FOR_S = 30
PAUSE_S = 9
"""What a caller is silent for between two phrases, while the bot tells its story."""
NOISE_MS = 5
"""A process that only sleeps is woken later than that: the machine is not quiet."""
LEAD_MS = 300
"""What a listener over WebSocket has in hand."""


@asynccontextmanager
async def server(**settings: str) -> AsyncIterator[str]:
    """The offline bot in a process of its own; its address."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    settings = {"VOXWIRE_ADMIN_KEY": KEY, "VOXWIRE_MAX_PENDING_PER_ADDRESS": "256", **settings}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0"),
        env={**inherited, **settings, "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            said = (await process.stdout.readline()).decode()
            found = re.search(r"ws://([\d.]+:\d+)", said)
            assert found is not None, said
            async with httpx.AsyncClient() as http:
                while (await http.get(f"http://{found[1]}/readyz")).status_code != 200:
                    await asyncio.sleep(0.1)
        yield found[1]
    finally:
        process.kill()
        await process.communicate()


async def figures(address: str) -> str:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
        return (await http.get(f"http://{address}/metrics")).text


async def lateness(address: str) -> dict[float, int]:
    """How many of the sessions' timers were at most so late, milliseconds, by the server's word."""
    pattern = r'voxwire_timers_late_seconds_bucket\{le="(.+)"\} (.+)'
    rows = re.findall(pattern, await figures(address))
    assert rows
    return {float(bound) * 1000: int(float(number)) for bound, number in rows}


async def json_of(*arguments: str, within_s: float) -> dict[str, Any]:
    """What a program of Python prints, which is ended when it takes longer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return json.loads(out)


async def crowd(address: str, pcm: Path) -> dict[str, Any]:
    """How the callers fared."""
    plan = {"port": int(address.rpartition(":")[2]), "number": NUMBER, "within_s": 1}
    plan |= {"for_s": FOR_S, "pcm": str(pcm)}
    return await json_of("-m", "tests.support.crowd", json.dumps(plan), within_s=FOR_S + 60)


def percentile(values: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[int(len(values) * share)]


@pytest.fixture
async def phrase(tmp_path: Path) -> Path:
    pcm, _ = await render_pcm(
        "tell me a long story", voice="en-us+f2", rate=150, sample_rate=16_000
    )
    await shared_espeak().aclose()
    path = tmp_path / "phrase.pcm"
    path.write_bytes(pcm + bytes(32_000 * PAUSE_S))
    return path


@pytest.mark.timeout(300)
async def test_of_forty_those_who_are_taken_hear_it_in_time_and_the_others_are_told_when(
    phrase: Path,
) -> None:
    for attempt in count(1):
        async with server() as address:
            fared = await crowd(address, phrase)
            late = await lateness(address)
        on_time = late[20.0] / late[float("inf")]
        quiet = fared["own_lag_p99_ms"] <= NOISE_MS
        taken = [caller for caller in fared["callers"] if caller["began_ms"] is not None]
        heard = [late_ms for caller in taken for late_ms in caller["late_ms"]]
        half, most = percentile(heard, 0.5), percentile(heard, 0.99)
        print(
            f"{len(taken)} of {NUMBER} taken; {on_time:.2%} of {late[float('inf')]} timers in time;"
            f" {len(heard)} blocks, p50 {half} p99 {most} ms late;"
            f" own lag {fared['own_lag_p99_ms']:.1f} ms"
        )
        if on_time >= 0.99 or quiet or attempt == 3:
            break
    assert fared["errors"] == []
    assert len(taken) >= 3
    assert all(caller["answers"] for caller in taken)
    assert not [caller["ended"] for caller in taken if caller["ended"]]
    assert on_time >= 0.99
    assert most < LEAD_MS
    for caller in fared["callers"]:
        assert caller["began_ms"] is not None or caller["refused"]
        for refused in caller["refused"]:
            assert refused["code"] == "CAPACITY"
            assert refused["retry_after_ms"] >= 5000
    told = {each["retry_after_ms"] for caller in fared["callers"] for each in caller["refused"]}
    if len(taken) < NUMBER / 2:
        assert len(told) > 10, "they come back one by one"


@pytest.mark.timeout(300)
async def test_twenty_who_talk_for_a_minute_are_no_stall() -> None:
    async with server(VOXWIRE_MAX_LAG_MS="0") as address:
        fared = await json_of(
            *("-m", "voxwire.cli", "load", f"ws://{address}", "--json"),
            *("-n", "20", "--ramp", "3", "--duration", "60", "--transport", "websocket"),
            within_s=200,
        )
        text = await figures(address)
    assert (fared["sessions"], fared["failed"], fared["ended_early"]) == (20, 0, 0)
    assert fared["turns"] > 100
    assert "voxwire_event_loop_stalls_total{" not in text
