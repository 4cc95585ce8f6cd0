"""µ-law and A-law: to the bit what the standard library had, sounds and back."""

import warnings

import numpy as np
import pytest

from voxwire_server.phone.g711 import ALAW, L16_8000, MULAW, Encoding

ALL = np.arange(-32_768, 32_768).astype("<i2")
CODES = bytes(range(256))

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop")  # before 3.13 the standard library's, then Pipecat's


def test_every_sample_and_every_code_is_written_as_audioop_did() -> None:
    assert MULAW.encode(ALL.tobytes()) == audioop.lin2ulaw(ALL.tobytes(), 2)
    assert MULAW.decode(CODES) == audioop.ulaw2lin(CODES, 2)
    assert ALAW.encode(ALL.tobytes()) == audioop.lin2alaw(ALL.tobytes(), 2)
    assert ALAW.decode(CODES) == audioop.alaw2lin(CODES, 2)


@pytest.mark.parametrize("law", [MULAW, ALAW])
def test_what_was_decoded_is_encoded_as_it_was(law: Encoding) -> None:
    again = law.encode(law.decode(CODES))
    assert law.decode(again) == law.decode(CODES)
    assert sum(a != b for a, b in zip(CODES, again, strict=True)) <= 1  # µ-law has two zeros
    assert law.encode(b"\0\0") == law.silence


def test_plain_samples_stay_what_they_are_and_half_of_one_is_none() -> None:
    assert L16_8000.encode(ALL.tobytes()) == ALL.tobytes()
    assert L16_8000.decode(ALL.tobytes() + b"\1") == ALL.tobytes()
    assert (len(L16_8000.silence), len(MULAW.silence)) == (2, 1)
