"""The espeak-ng helper process: ``python -m voxwire_server.bots.offline.espeak_worker``.

espeak-ng is licensed GPL-3.0-or-later. It is loaded here, in a process of its own behind a pipe,
and nowhere else in the server. One helper serves many sessions: sentences are spoken in the order
in which they arrive (5-10 ms each), a cancelled one stops after the chunk it is in.

The helper ends when its standard input closes, so it never outlives the server.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from voxwire_server.bots.offline.espeak_protocol import (
    CHUNK_MS,
    HEADER_BYTES,
    SAMPLE_RATE,
    Kind,
    decode,
    encode,
    encode_json,
    read_exactly,
    unpack_header,
)
from voxwire_server.bots.offline.word_spans import SpanBuilder, WordSpan

__all__ = ["main"]

# espeak-ng/speak_lib.h. Synchronous output is the only mode that is complete: with
# AUDIO_OUTPUT_RETRIEVAL a hidden thread synthesises and the audio comes back truncated.
_OUTPUT_SYNCHRONOUS = 2
_INIT_PHONEME_EVENTS = 0x0001
_INIT_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_PARAM_RATE, _PARAM_PITCH = 1, 3
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_END, _EVENT_PHONEME = 0, 1, 5, 7
_PAUSES = (b"_:", b"_")
_EE_OK = 0


class _EventId(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass
class _Job:
    """One sentence to speak, and how far it has got."""

    request_id: int
    text: str
    voice: str
    rate: int
    pitch: int
    cancelled: threading.Event = field(default_factory=threading.Event)
    num_samples: int = 0


class _Engine:
    """espeak-ng through ctypes. Not thread safe: one thread makes it and uses it."""

    def __init__(self, output: BinaryIO) -> None:
        import espeakng_loader

        self._output = output
        self._lib: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = self._lib.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS,
            CHUNK_MS,
            espeakng_loader.get_data_path().encode(),
            _INIT_DONT_EXIT | _INIT_PHONEME_EVENTS,
        )
        if rate != SAMPLE_RATE:
            raise RuntimeError(f"espeak-ng reported a sample rate of {rate} Hz, not {SAMPLE_RATE}")
        # The library keeps the pointer: this object must live as long as the engine.
        self._callback = _Callback(self._on_audio)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._voice = ""
        self._job: _Job | None = None
        self._builder = SpanBuilder("")
        self._error: BaseException | None = None

    def speak(self, job: _Job) -> None:
        """Speak one sentence, writing its audio and words as they come.

        Raises:
            RuntimeError: espeak-ng refused the voice or the text.
            OSError: The server is gone.
        """
        self._use_voice(job)
        self._job, self._builder, self._error = job, SpanBuilder(job.text), None
        raw = job.text.encode()
        result = self._lib.espeak_Synth(
            raw, len(raw) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        self._job = None
        if self._error is not None:
            raise self._error
        if result != _EE_OK:
            raise RuntimeError(f"espeak-ng could not speak the text (error {result})")
        if not job.cancelled.is_set():
            self._write_words(job, self._builder.end(job.num_samples))

    def _use_voice(self, job: _Job) -> None:
        if job.voice != self._voice:
            result = self._lib.espeak_SetVoiceByName(job.voice.encode())
            if result != _EE_OK:
                self._voice = ""
                raise RuntimeError(f"espeak-ng has no voice {job.voice!r} (error {result})")
            self._voice = job.voice
        self._lib.espeak_SetParameter(_PARAM_RATE, job.rate, 0)
        self._lib.espeak_SetParameter(_PARAM_PITCH, job.pitch, 0)

    def _on_audio(self, wav: Any, num_samples: int, events: Any) -> int:
        """espeak-ng's callback; no exception may leave it. Non-zero stops the sentence."""
        try:
            return self._take(wav, num_samples, events)
        except BaseException as error:
            self._error = error
            return 1

    def _take(self, wav: Any, num_samples: int, events: Any) -> int:
        job = self._job
        if job is None or job.cancelled.is_set():
            return 1
        spans = self._take_events(events)
        if spans:
            self._write_words(job, spans)
        if wav and num_samples > 0:
            audio = ctypes.string_at(wav, num_samples * 2)
            job.num_samples += num_samples
            self._output.write(encode(Kind.AUDIO, job.request_id, audio))
            self._output.flush()
        return 0

    def _take_events(self, events: Any) -> list[WordSpan]:
        spans: list[WordSpan] = []
        index = 0
        while events[index].type != _EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == _EVENT_WORD:
                spans += self._builder.word(event.text_position - 1, event.sample)
            elif event.type == _EVENT_END or (
                event.type == _EVENT_PHONEME and event.id.string in _PAUSES
            ):
                self._builder.pause(event.sample)
            index += 1
        return spans

    def _write_words(self, job: _Job, spans: list[WordSpan]) -> None:
        if not spans:
            return
        rows = [
            (span.text, span.start_sample, span.end_sample, span.char_start, span.char_end)
            for span in spans
        ]
        self._output.write(encode_json(Kind.WORDS, job.request_id, rows))
        self._output.flush()


class _Inbox:
    """Reads requests in a thread, so that a cancel overtakes the sentence being spoken.

    It has a thread and is none: a later Python may take any private name of its own classes.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="espeak-inbox")
        self.queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.broken = False

    def start(self) -> None:
        """Read from now on; ``None`` in the queue is the end (``broken``: an untimely one)."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except Exception:  # said here: the process ends before Python would say it
            traceback.print_exc()
            self.broken = True
        finally:
            with self._lock:
                for job in self._jobs.values():
                    job.cancelled.set()
            self.queue.put(None)

    def _read(self) -> None:
        while start := self._source.read(1):
            header = start + read_exactly(self._source, HEADER_BYTES - 1)
            kind, request_id, payload_bytes = unpack_header(header)
            self._take(kind, request_id, read_exactly(self._source, payload_bytes))

    def forget(self, request_id: int) -> None:
        """Drop a job that is done."""
        with self._lock:
            self._jobs.pop(request_id, None)

    def _take(self, kind: Kind, request_id: int, payload: bytes) -> None:
        if kind is Kind.SYNTHESIZE:
            job = _Job(request_id, **decode(payload))
            with self._lock:
                self._jobs[request_id] = job
            self.queue.put(job)
        elif kind is Kind.CANCEL:
            with self._lock:
                job = self._jobs.get(request_id)
            if job is not None:
                job.cancelled.set()


def _serve(engine: _Engine, inbox: _Inbox, output: BinaryIO) -> None:
    while (job := inbox.queue.get()) is not None:
        try:
            if not job.cancelled.is_set():
                engine.speak(job)
            done = {"num_samples": job.num_samples, "cancelled": job.cancelled.is_set()}
            answer = encode_json(Kind.DONE, job.request_id, done)
        except (RuntimeError, ValueError) as error:
            answer = encode_json(Kind.FAILED, job.request_id, {"reason": str(error)})
        inbox.forget(job.request_id)
        output.write(answer)
        output.flush()


def main() -> int:
    """Serve requests from standard input until it closes.

    Returns:
        The exit code: 0 when the server closed the pipe or went away, 1 when what came was broken.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # espeak-ng and the loader may print; the real stdout carries only messages.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox = _Inbox(sys.stdin.buffer)
    try:
        engine = _Engine(output)
        output.write(encode_json(Kind.READY, 0, {"sample_rate": SAMPLE_RATE, "pid": os.getpid()}))
        output.flush()
        inbox.start()
        _serve(engine, inbox, output)
    except BrokenPipeError:  # the server is gone; nothing is left to say or to flush
        os._exit(0)
    return int(inbox.broken)


if __name__ == "__main__":
    sys.exit(main())
