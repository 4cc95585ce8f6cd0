"""``voxwire call`` rings the offline bot by every vendor's wire: asks, interrupts, presses keys."""

import asyncio
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clicks import make_bot
from tests.support.espeak import render_pcm
from tests.support.phone_line import KNOWN
from tests.support.phone_measured import REASON, measured
from tests.support.phone_socket import PUBLIC, dialled
from tests.support.phone_vendors import FAR_ENDS, PASSWORD, SECRET, TOKEN
from tests.support.waiting import PATIENT, until
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import running_server

SECRETS = {"telnyx": SECRET, "vonage": SECRET, "exotel": PASSWORD}
SETTINGS: dict[str, Any] = {"key": "k" * 40, "public_url": PUBLIC, **KNOWN, **PATIENT}


async def call(url: str, *arguments: str | Path, vendor: str = "twilio") -> tuple[int, str, str]:
    """Runs the program; exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire.cli", "call", url, "--vendor", vendor),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def spoken(path: Path, text: str) -> Path:
    """A WAV of a sentence."""
    pcm, _ = await render_pcm(text, sample_rate=16_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
    return path


AT_ONCE = asyncio.Semaphore(2)
"""Five callers, each with a telephone of its own, are more than two processors play in time."""

TRIES = 3


async def asked(vendor: str, port: int, folder: Path) -> None:
    """Calls by a vendor until the story is told and cut: a machine that stands still loses some of
    what asks for it, and a scripted caller does not ask again.
    """
    async with AT_ONCE:
        tries = [folder / str(number) for number in range(TRIES)]
        while not await cut_twice(vendor, port, tries.pop()):
            assert tries, f"{vendor}: no story was cut in {TRIES} calls"


async def cut_twice(vendor: str, port: int, folder: Path) -> bool:
    """One call: it interrupts the greeting, and the story if that is told; then it presses keys.

    Returns:
        Whether both were cut.
    """
    folder.mkdir(parents=True)
    story = await spoken(folder / "story.wav", "tell me a long story")
    question = await spoken(folder / "question.wav", "what time is it")
    code, out, err = await call(
        f"http://127.0.0.1:{port}",
        *("--public-url", PUBLIC, "--secret", SECRETS.get(vendor, TOKEN)),
        *("--in", f"{story}@500", "--in", f"{question}@1500", "--keys", "4#"),
        *("--delay", "40", "--jitter", "20", "--loss", "0.2"),
        *("--out", folder / "heard.wav", "--events", folder / "events.jsonl"),
        vendor=vendor,
    )
    assert (code, err) == (0, "")
    assert out.startswith("the bot was heard for ")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "began"
    assert "clear" in kinds
    assert "keys" in kinds
    assert kinds[-1] == "hung_up"
    over = next(e for e in events if e["type"] == "spoken" and e["value"] == str(question))
    with wave.open(str(folder / "heard.wav")) as file:
        rate = file.getframerate()
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
    assert rate == FAR_ENDS[vendor].rate
    answer = heard[rate * over["t_ms"] // 1000 :]
    assert np.count_nonzero(np.abs(answer) > 300) > rate // 5  # real time: order
    return kinds.count("clear") >= 2


async def test_a_fake_caller_of_every_vendor_interrupts_asks_and_presses_keys(
    tmp_path: Path,
) -> None:
    async with running_server(load_bot("offline"), **SETTINGS) as server:
        async with asyncio.TaskGroup() as calls:
            for vendor in FAR_ENDS:
                calls.create_task(asked(vendor, server.port, tmp_path / vendor))
        async with asyncio.timeout(10):
            while len(server.registry):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("vendor", FAR_ENDS)
async def test_who_has_called_calls_again(vendor: str) -> None:
    async with running_server(make_bot(), **SETTINGS) as server:
        for _ in range(2):
            async with dialled(server.port, vendor=vendor) as phone:
                await until(lambda: len(phone.heard) > phone.far.rate // 2)


@pytest.mark.timing(reason=REASON)
async def test_the_caller_is_where_the_server_believes(tmp_path: Path) -> None:
    found = await measured("twilio", 40, tmp_path)  # all vendors: test_phone_moments.py
    print(found)
    found.check(40)


async def test_a_caller_whose_secret_is_another_is_turned_away() -> None:
    async with running_server(load_bot("offline"), **SETTINGS) as server:
        url = f"http://127.0.0.1:{server.port}"
        code, _, err = await call(url, "--public-url", PUBLIC, "--secret", "another")
        assert (code, "FORBIDDEN" in err) == (3, True)
        code, _, err = await call(url, "--secret", TOKEN)  # signed for another URL
        assert (code, "FORBIDDEN" in err) == (3, True)
        code, _, err = await call(url, "--public-url", PUBLIC, "--secret", TOKEN, "--bot", "nobody")
        assert (code, "CAPACITY" in err) == (3, True)


async def test_a_server_without_the_vendor_and_none_at_all_are_said() -> None:
    async with running_server(load_bot("offline")) as server:
        code, _, err = await call(f"http://127.0.0.1:{server.port}", "--secret", TOKEN)
        assert (code, "HTTP 404" in err or "HTTP 405" in err) == (5, True), err
    code, _, err = await call("http://127.0.0.1:1", "--secret", TOKEN)
    assert (code, "UNREACHABLE" in err) == (5, True)


async def test_what_it_needs_is_said_before_it_calls(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    code, out, _ = await call(url, "--secret", SECRET, "--show-key", vendor="telnyx")
    assert (code, out.strip()) == (0, KNOWN["phone_telnyx_key"])
    assert (await call(url, "--secret", "x", "--show-key"))[0] == 2
    assert (await call(url, vendor="telnyx"))[0] == 2
    assert (await call(url, "--secret", "x", "--keys", "1x"))[0] == 2
    assert (await call(url, "--secret", "x", "--in", tmp_path / "none.wav"))[0] == 6
