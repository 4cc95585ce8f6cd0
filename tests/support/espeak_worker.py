"""The espeak-ng helper process: ``python -m tests.support.espeak_worker``.

espeak-ng is licensed GPL-3.0-or-later. It is loaded here, in a process of its own behind a pipe,
for tests alone. Sentences are spoken in the order in which they arrive (5-10 ms each), a cancelled
one stops after the chunk it is in.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tests.support.espeak_spans import SpanBuilder
from voxwire_server.bots.offline.helper_wire import decode
from voxwire_server.bots.offline.helper_worker import Job, serve
from voxwire_server.bots.offline.word_spans import WordSpan

CHUNK_MS = 60
"""The shortest buffer that espeak-ng honours."""

SAMPLE_RATE = 22050
"""Hz; espeak-ng's own rate, which it does not let anyone choose."""

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
class _Sentence:
    """What is being spoken, and how far it has got."""

    job: Job
    text: str
    voice: str
    rate: int
    pitch: int
    num_samples: int = 0


class _Engine:
    """espeak-ng through ctypes. Not thread safe: one thread makes it and uses it."""

    def __init__(self) -> None:
        import espeakng_loader

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
        self._sentence: _Sentence | None = None
        self._builder = SpanBuilder("")
        self._error: BaseException | None = None

    def waits_s(self, job: Job) -> float:
        """Return that it is wanted at once."""
        return 0.0

    def steps(self, job: Job) -> Generator[float, None, dict[str, Any]]:
        """Speak one sentence in one step, replying with its audio and words as they come.

        Raises:
            RuntimeError: espeak-ng refused the voice or the text.
            OSError: The server is gone.
        """
        sentence = _Sentence(job, **decode(job.payload))
        self._use_voice(sentence)
        self._sentence, self._builder, self._error = sentence, SpanBuilder(sentence.text), None
        raw = sentence.text.encode()
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))  # its breath; the time of day otherwise
        result = self._lib.espeak_Synth(
            raw, len(raw) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        self._sentence = None
        if self._error is not None:
            raise self._error
        if result != _EE_OK:
            raise RuntimeError(f"espeak-ng could not speak the text (error {result})")
        if not job.cancelled.is_set():
            _note_words(job, self._builder.end(sentence.num_samples))
        return {"num_samples": sentence.num_samples}
        yield

    def _use_voice(self, sentence: _Sentence) -> None:
        if sentence.voice != self._voice:
            result = self._lib.espeak_SetVoiceByName(sentence.voice.encode())
            if result != _EE_OK:
                self._voice = ""
                raise RuntimeError(f"espeak-ng has no voice {sentence.voice!r} (error {result})")
            self._voice = sentence.voice
        self._lib.espeak_SetParameter(_PARAM_RATE, sentence.rate, 0)
        self._lib.espeak_SetParameter(_PARAM_PITCH, sentence.pitch, 0)

    def _on_audio(self, wav: Any, num_samples: int, events: Any) -> int:
        """espeak-ng's callback; no exception may leave it. Non-zero stops the sentence."""
        try:
            return self._take(wav, num_samples, events)
        except BaseException as error:
            self._error = error
            return 1

    def _take(self, wav: Any, num_samples: int, events: Any) -> int:
        sentence = self._sentence
        if sentence is None or sentence.job.cancelled.is_set():
            return 1
        _note_words(sentence.job, self._take_events(events))
        if wav and num_samples > 0:
            sentence.num_samples += num_samples
            sentence.job.audio(ctypes.string_at(wav, num_samples * 2))
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


def _note_words(job: Job, spans: list[WordSpan]) -> None:
    if spans:
        job.note([(s.text, s.start_sample, s.end_sample, s.char_start, s.char_end) for s in spans])


if __name__ == "__main__":
    sys.exit(serve(_Engine))
