"""A helper process and its client, by the example of the tests' own voice."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.support.espeak import (
    SAMPLE_RATE,
    EspeakClient,
    PcmChunk,
    WordSpan,
    render_pcm,
    render_wav,
    shared_espeak,
)
from voxwire_server.bots.offline import extras, helper_worker
from voxwire_server.bots.offline.helper import HelperError
from voxwire_server.bots.offline.helper_wire import (
    HEADER_BYTES,
    Kind,
    decode,
    encode,
    encode_json,
    read_exactly,
    unpack_header,
)

LONG = "This is a rather long sentence that goes on and on. " * 40
ROOT = Path(__file__).resolve().parents[4]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


async def collect(client, text, **options) -> tuple[bytes, list[WordSpan]]:
    pcm, words = bytearray(), []
    async for piece in client.synthesize(text, **options):
        if isinstance(piece, PcmChunk):
            pcm += piece.pcm
        else:
            words.append(piece)
    return bytes(pcm), words


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny in Paris today.",
        "I am of the opinion — that $25 (or 3.14) well-known things, e.g. cafés, “work”.",
        "— hello — 你好 ok 🎉 done",
        "...",
        "   ",
        "",
        "At 10:30, one,two three.Four",
    ],
)
async def test_every_token_has_a_span_inside_the_audio(espeak, text):
    pcm, words = await collect(espeak, text)
    assert [word.text for word in words] == text.split()
    at = 0
    for word in words:
        assert text[word.char_start : word.char_end] == word.text
        assert at <= word.start_sample <= word.end_sample <= len(pcm) // 2
        at = word.end_sample


async def test_words_lie_where_the_sound_is(espeak):
    pcm, words = await collect(espeak, "Stop, please, stop.")
    loud = np.abs(np.frombuffer(pcm, np.int16).astype(np.int32))
    for word in words:
        inside = loud[word.start_sample : word.end_sample]
        assert inside.max() > 3000
    for before, after in itertools.pairwise(words):
        pause = loud[before.end_sample : after.start_sample]
        assert pause.size > SAMPLE_RATE // 20
        assert np.median(pause) < 100


async def test_one_helper_speaks_for_eight_at_once(espeak):
    texts = [f"Number {n} says {'hello ' * n}again." for n in range(1, 9)]
    results = await asyncio.gather(*(collect(espeak, text) for text in texts))
    pid = espeak.pid
    alone = [await collect(espeak, text) for text in texts]
    assert espeak.pid == pid is not None
    for text, (pcm, words), (pcm_alone, _) in zip(texts, results, alone, strict=True):
        assert [word.text for word in words] == text.split()
        # espeak-ng itself varies by a few samples from call to call.
        assert abs(len(pcm) - len(pcm_alone)) < SAMPLE_RATE // 50 * 2


async def test_the_voice_rate_and_pitch_of_one_do_not_leak_into_another(espeak):
    slow, fast = await asyncio.gather(
        collect(espeak, "one two three four five", rate=100, voice="en-us+f3"),
        collect(espeak, "one two three four five", rate=250),
    )
    assert len(slow[0]) > 1.5 * len(fast[0])


async def test_a_request_that_is_left_early_stops_and_the_next_one_works(espeak):
    async with aclosing(espeak.synthesize(LONG)) as pieces:
        async for piece in pieces:
            if isinstance(piece, PcmChunk):
                break
    async with asyncio.timeout(60):
        _, words = await collect(espeak, "still here")
    assert [word.text for word in words] == ["still", "here"]


async def test_a_dead_helper_is_replaced_and_the_sentence_is_spoken(espeak):
    await espeak.warm()
    old = espeak.pid
    os.kill(old, signal.SIGKILL)
    _, words = await collect(espeak, "risen again")
    assert [word.text for word in words] == ["risen", "again"]
    assert espeak.pid not in (None, old)


async def test_a_helper_that_dies_in_the_middle_is_an_error_and_then_replaced(espeak):
    async def speak_and_kill() -> None:
        async for piece in espeak.synthesize(LONG):
            if isinstance(piece, PcmChunk) and espeak.pid is not None:
                with suppress(ProcessLookupError):  # pieces that were on the way come after it
                    os.kill(espeak.pid, signal.SIGKILL)

    with pytest.raises(HelperError, match="died"):
        await speak_and_kill()
    _, words = await collect(espeak, "risen")
    assert [word.text for word in words] == ["risen"]


async def test_a_helper_that_hangs_is_killed_and_the_sentence_is_spoken_by_another():
    async with closing(EspeakClient(silence_ms=1000)) as client:
        await client.warm()
        old = client.pid
        os.kill(old, signal.SIGSTOP)
        _, words = await collect(client, "still here")
        assert [word.text for word in words] == ["still", "here"]
        assert client.pid not in (None, old)
        with pytest.raises(ProcessLookupError):
            os.kill(old, 0)


async def test_a_helper_that_hangs_in_the_middle_is_an_error_and_then_replaced():
    async def speak_and_stop(client: EspeakClient) -> None:
        async for piece in client.synthesize(LONG):
            if isinstance(piece, PcmChunk) and client.pid is not None:
                os.kill(client.pid, signal.SIGSTOP)

    async with closing(EspeakClient(silence_ms=1000)) as client:
        with pytest.raises(HelperError, match="said nothing for 1000 ms"):
            await speak_and_stop(client)
        _, words = await collect(client, "risen")
        assert [word.text for word in words] == ["risen"]


async def test_a_helper_that_speaks_for_others_is_not_silent(espeak):
    """One request waits for all before it: the time counts from the helper's last sign."""
    async with closing(EspeakClient(silence_ms=1500)) as client:
        await client.warm()
        pid = client.pid
        texts = [LONG + LONG[:1000]] * 12
        results = await asyncio.gather(*(collect(client, text) for text in texts))
        assert client.pid == pid
        assert all(words for _, words in results)


async def test_a_helper_that_babbles_is_killed_and_the_error_says_so(espeak, monkeypatch, tmp_path):
    """Its pipe is full and nobody reads it: waiting for its end would never end."""
    (tmp_path / "worker_that_babbles.py").write_text(
        "import os\n"
        "with open('pid', 'w') as file: file.write(str(os.getpid()))\n"
        "while True: os.write(1, b'x' * 9999)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(EspeakClient, "worker", "worker_that_babbles")
    with pytest.raises(HelperError, match="did not start: it sent what is no message"):
        await collect(espeak, "hello")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_what_a_helper_says_of_its_end_is_in_the_error(espeak, monkeypatch, tmp_path):
    """Also when it is read after the end of the helper's output."""
    (tmp_path / "worker_that_dies.py").write_text(
        "import os, sys, time\nos.close(1)\ntime.sleep(0.2)\n"
        "sys.exit('the voice is ill, HF_HUB_OFFLINE ' + os.environ['HF_HUB_OFFLINE'])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(EspeakClient, "worker", "worker_that_dies")
    with pytest.raises(HelperError, match="the voice is ill, HF_HUB_OFFLINE 1"):
        await collect(espeak, "hello")


async def test_a_helper_that_never_starts_is_an_error_that_says_why(espeak, monkeypatch):
    monkeypatch.setattr(EspeakClient, "worker", "voxwire_server.no_such_module")
    with pytest.raises(HelperError, match="no_such_module"):
        await collect(espeak, "hello")
    assert espeak.pid is None


async def test_closing_leaves_no_process_task_or_descriptor(espeak):
    before = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    await espeak.warm()
    pid = espeak.pid
    await espeak.aclose()
    assert (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await espeak.warm()
    assert espeak.pid not in (None, pid)


async def test_who_has_no_time_to_close_a_helper_leaves_no_task_and_no_process():
    before = asyncio.all_tasks()
    client = EspeakClient()
    await client.start()
    pid = client.pid
    os.kill(pid, signal.SIGSTOP)  # it will not end by itself
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.aclose()
    async with asyncio.timeout(10):
        while asyncio.all_tasks() != before or Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)  # real time: poll


async def test_bad_requests_are_refused_and_harm_nothing(espeak):
    with pytest.raises(HelperError, match="no voice 'xx-nope'"):
        await collect(espeak, "hello", voice="xx-nope")
    for options in ({"rate": 10}, {"rate": 1000}, {"pitch": 101}):
        with pytest.raises(ValueError):
            await collect(espeak, "hello", **options)
    with pytest.raises(ValueError):
        await collect(espeak, "a" * 5001)
    assert (await collect(espeak, "a\0b"))[1]


async def test_a_loop_has_one_client(espeak):
    assert shared_espeak() is espeak


async def test_a_missing_extra_names_the_command(espeak, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'voxwire-server\[offline\]'"):
        await collect(espeak, "hello")


@asynccontextmanager
async def closing(client: EspeakClient) -> AsyncIterator[EspeakClient]:
    try:
        yield client
    finally:
        await client.aclose()


def start_worker() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.espeak_worker"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENV)


def receive(process: subprocess.Popen[bytes]) -> tuple[Kind, int, bytes]:
    kind, request_id, payload_bytes = unpack_header(read_exactly(process.stdout, HEADER_BYTES))
    return kind, request_id, read_exactly(process.stdout, payload_bytes)


def request(process: subprocess.Popen[bytes], request_id: int, text: str) -> None:
    fields = {"text": text, "voice": "en-us", "rate": 160, "pitch": 50}
    process.stdin.write(encode_json(Kind.ASK, request_id, fields))
    process.stdin.flush()


def test_the_helper_exits_when_its_input_closes():
    with start_worker() as process:
        assert receive(process)[0] is Kind.READY
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_request_that_comes_byte_by_byte_is_read_whole():
    with start_worker() as process:
        assert receive(process)[0] is Kind.READY
        fields = {"text": "hi", "voice": "en-us", "rate": 160, "pitch": 50}
        for byte in encode_json(Kind.ASK, 7, fields):
            process.stdin.write(bytes([byte]))
            process.stdin.flush()
        kinds = set()
        while Kind.DONE not in kinds:
            kind, request_id, _ = receive(process)
            assert request_id == 7
            kinds.add(kind)
        assert kinds == {Kind.AUDIO, Kind.NOTE, Kind.DONE}
        process.stdin.close()
        assert process.wait(timeout=60) == 0


class Trickle(io.RawIOBase):
    """A pipe that gives three bytes at a time, whatever is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, num_bytes: int = -1) -> bytes:
        return self._data.read(min(num_bytes, 3))


def test_a_pipe_is_read_to_the_length_asked_for():
    source = Trickle(b"0123456789")
    assert read_exactly(source, 7) == b"0123456"
    assert read_exactly(source, 0) == b""
    with pytest.raises(EOFError, match="after 3 of 4 bytes"):
        read_exactly(source, 4)


def test_a_helper_whose_input_is_broken_says_so_and_fails():
    with start_worker() as process:
        assert receive(process)[0] is Kind.READY
        process.stdin.write(encode(Kind.CANCEL, 1)[:5])
        process.stdin.close()
        assert process.wait(timeout=60) == 1
        said = process.stderr.read().decode()
    assert said.splitlines()[-1] == "EOFError: the pipe ended after 4 of 8 bytes"


def test_the_helper_exits_when_its_parent_dies_in_the_middle_of_a_sentence():
    with start_worker() as process:
        assert receive(process)[0] is Kind.READY
        request(process, 1, LONG)
        assert receive(process)[0] is Kind.AUDIO
        process.stdin.close()
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def test_a_cancelled_sentence_stops_after_the_chunk_it_is_in():
    with start_worker() as process:
        receive(process)
        request(process, 1, LONG)
        receive(process)  # the pipe is full long before the sentence ends, so it is still speaking
        process.stdin.write(encode(Kind.CANCEL, 1))
        process.stdin.flush()
        request(process, 2, "next")
        answers = {}
        while 2 not in answers:
            kind, request_id, payload = receive(process)
            if kind is Kind.DONE:
                answers[request_id] = decode(payload)
        process.stdin.close()
        process.wait(timeout=60)
    assert answers[1]["cancelled"]
    assert answers[1]["num_samples"] < 30 * SAMPLE_RATE
    assert not answers[2]["cancelled"]


def test_the_server_side_never_imports_what_its_helpers_do():
    code = (
        "import sys, voxwire_server.bots.offline.bot as bot;"
        "assert not {'hibari', 'ctranslate2', 'espeakng_loader'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV, timeout=60)


def test_the_helper_imports_neither_pipecat_nor_numpy():
    code = (
        f"import sys, {helper_worker.__name__};"
        "assert not {'pipecat', 'numpy', 'asyncio', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV, timeout=60)


async def test_a_phrase_is_rendered_to_a_wav_at_any_rate(espeak, tmp_path):
    path = tmp_path / "q.wav"
    await render_wav(path, "what time is it", sample_rate=48000, gain=0.5)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    pcm, words = await render_pcm("what time is it", sample_rate=48000)
    assert abs(len(samples) - len(pcm) // 2) < 480
    loudest = np.abs(np.frombuffer(pcm, np.int16).astype(int)).max()
    assert 0.35 < np.abs(samples.astype(int)).max() / loudest < 0.65
    assert words[-1].end_sample <= len(pcm) // 2


def test_a_fault_of_an_engine_ends_its_request_and_no_other(capfd):
    class Faulty:
        def waits_s(self, job):
            return 0.0

        def steps(self, job):
            if job.payload == b"bad":
                raise KeyError("no such phoneme")
            job.note("said")
            inbox.queue.put(None)
            return {}
            yield

    output = io.BytesIO()
    inbox = helper_worker._Inbox(io.BytesIO(), output)
    inbox._take(Kind.ASK, 1, b"bad")
    inbox._take(Kind.ASK, 2, b"good")
    helper_worker._work_off(Faulty(), inbox, output)
    output.seek(0)
    answers = []
    while header := output.read(HEADER_BYTES):
        kind, request_id, num_bytes = unpack_header(header)
        answers.append((kind, request_id, decode(output.read(num_bytes))))
    assert answers[0] == (Kind.FAILED, 1, {"reason": "KeyError: 'no such phoneme'"})
    assert [answer[:2] for answer in answers[1:]] == [(Kind.NOTE, 2), (Kind.DONE, 2)]
    assert "no such phoneme" in capfd.readouterr().err


def test_what_is_due_first_is_done_first_step_by_step():
    """The first clause of one who waits goes before the rest of one whose sound still plays."""
    done: list[str] = []

    class Steps:
        def waits_s(self, job):
            return float(job.payload.decode().split()[1])

        def steps(self, job):
            name = job.payload.decode().split()[0]
            for step in range(3):
                done.append(f"{name}{step}")
                if len(done) == 9:
                    inbox.queue.put(None)
                if step < 2:
                    yield 2.0
            return {}

    output = io.BytesIO()
    inbox = helper_worker._Inbox(io.BytesIO(), output)
    for number, payload in enumerate((b"far 9", b"now 0", b"soon 1"), start=1):
        inbox._take(Kind.ASK, number, payload)
    helper_worker._work_off(Steps(), inbox, output)
    assert done == ["now0", "soon0", "now1", "soon1", "now2", "soon2", "far0", "far1", "far2"]
