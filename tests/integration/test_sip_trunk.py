"""A telephone of Debian's asks the offline bot through the gateway of ``examples/sip-trunk``.

``make system`` runs it: the gateway is built from Go. What comes back is recorded by the telephone,
and understood by a recogniser.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.test_phone_offline import KEY, Inside, watched
from tests.support.baresip import MISSING, RATE, baresip, write_wav
from tests.support.espeak import render_pcm
from tests.support.readmes import read_fences
from tests.support.reply_ears import as_spoken, heard_of_weather
from tests.support.sip_phone import sip_phone
from tests.support.sip_trunk import ACCOUNT, FOLDER, TOKEN, Gateway, built, free_port, gateway
from tests.support.waiting import PATIENT, until
from voxwire_server.testing import RunningServer, running_server

pytestmark = pytest.mark.timeout(400)
needs_baresip = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")

LOUD = 300


@contextlib.asynccontextmanager
async def answering(inside: Inside) -> AsyncIterator[tuple[RunningServer, Gateway]]:
    """The offline bot behind a gateway; nothing is left of a call."""
    port = free_port(socket.SOCK_STREAM)
    url = f"http://127.0.0.1:{port}"
    known: dict[str, Any] = {"key": KEY, "public_url": url, "phone_twilio_token": TOKEN, **PATIENT}
    async with running_server(watched(inside), port=port, **known) as server:
        async with gateway(url) as running:
            yield server, running
            await until(lambda: not len(server.registry))
            await running.idle()


async def script(*parts: float | str) -> bytes:
    """Silence, in seconds, and sentences; int16 at 8 kHz."""
    found = [
        bytes(round(part * RATE) * 2)
        if isinstance(part, float)
        else (await render_pcm(part, sample_rate=RATE))[0]
        for part in parts
    ]
    return b"".join(found)


def ends_of_speech(samples: np.ndarray[Any, Any]) -> list[int]:
    """Where stretches of speech end, as samples: half a second without any is between two."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > LOUD)
    if not len(loud):
        return []
    return [*loud[:-1][np.diff(loud) > RATE // 2].tolist(), int(loud[-1])]


@needs_baresip
@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_a_telephone_asks_and_the_answer_is_understood(codec: str, tmp_path: Path) -> None:
    inside = Inside()
    said = await script(16.0, "what is the weather in paris", 60.0)
    wav = write_wav(tmp_path / "question.wav", said)
    async with answering(inside) as (_, running):
        folder = tmp_path / "phone"
        folder.mkdir()
        async with baresip(folder, running.port, wav=wav, account=ACCOUNT, codec=codec) as phone:
            await until(lambda: inside.session is not None and inside.session.phone is not None)
            assert inside.session is not None
            call = inside.session.phone
            assert call is not None
            assert (call.vendor, call.caller, call.called) == ("twilio", "desk", "4711")
            await until(lambda: any("degrees" in each for each in inside.said("assistant")))
            assert inside.asked == ["what is the weather in paris"]
            answer = next(each for each in inside.said("assistant") if "degrees" in each)
            asked = ends_of_speech(phone.said)[-1]
            await until(lambda: len(phone.heard) > ends_of_speech(phone.heard)[-1] + RATE)
            heard = heard_of_weather(phone.heard[asked:], RATE)
        print("said:", answer, "| heard:", " ".join(heard))
        assert [word for word in heard if word not in ("let", "me", "check")] == as_spoken(answer)


@needs_baresip
async def test_a_telephone_interrupts_and_the_bot_knows_what_was_heard(tmp_path: Path) -> None:
    inside = Inside()
    said = await script(4.0, "tell me a long story", 9.0, "what time is it", 60.0)
    wav = write_wav(tmp_path / "talk.wav", said)
    async with answering(inside) as (_, running):
        folder = tmp_path / "phone"
        folder.mkdir()
        async with baresip(folder, running.port, wav=wav, account=ACCOUNT) as phone:
            await until(lambda: "what time is it" in inside.asked)
            await until(lambda: "It is" in inside.said("assistant")[-1])
            assert inside.asked == ["tell me a long story", "what time is it"]
            told = inside.said("assistant")[1].split()
            first, second = ends_of_speech(phone.said)[:2]
            story = phone.heard[first:second].astype(int)
        loud = np.flatnonzero(np.abs(story) > LOUD)
        # until "time", at most, goes on what the question cuts
        stretch = loud[: np.searchsorted(loud, len(story) - RATE // 4)]
        heard_s = (stretch[-1] - stretch[0]) / RATE
        print(f"{len(told)} words of the story are remembered, {heard_s:.2f} s of it were heard")
        assert 0.2 < heard_s / len(told) < 0.5


async def test_the_readme_brings_a_first_call(tmp_path: Path) -> None:
    built()  # so that the modules are there, or the test is skipped
    [fence, *_] = read_fences((FOLDER / "README.md").read_text("utf-8"), "README.md")
    web, sip = free_port(socket.SOCK_STREAM), free_port()
    assert ":7860" in fence.text
    program = fence.text.replace("7860", str(web)).replace(
        "./sip-trunk", f"./sip-trunk -port {sip}"
    )
    folder = tmp_path / "sip-trunk"
    shutil.copytree(FOLDER, folder)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", program),
        cwd=folder,
        env={**os.environ, "PATH": path, "VOXWIRE_PORT": str(web), "GOFLAGS": "-buildvcs=false"},
        start_new_session=True,
    )
    try:
        async with sip_phone(sip, account=("desk", "secret-7")) as phone:
            async with asyncio.timeout(300):
                while not (phone.said and phone.said[-1].status == 200):
                    with contextlib.suppress(TimeoutError):  # real time: poll; nobody listens yet
                        async with asyncio.timeout(3):
                            await phone.dial()
            await until(lambda: any(each.payload != b"\xff" * 160 for each in phone.packets))
            await phone.hang_up()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()
